"""The one way in which a command says no."""

from __future__ import annotations

from ..errors import ConfigurationError

__all__ = ["Refusal", "sentence"]


class Refusal(Exception):
    """A command cannot do what was asked; the text is one sentence for standard error, the exit code 2."""


def sentence(error: BaseException) -> str:
    """What an error says, on one line."""
    if isinstance(error, ConfigurationError) and len(error.problems) > 1:
        text = f"{len(error.problems)} problems: " + "; ".join(error.problems)
    else:
        text = str(error.args[0]) if error.args and isinstance(error, LookupError) else str(error)
    return " ".join(text.split()) or type(error).__name__
