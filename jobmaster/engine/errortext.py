"""Exceptions as text that every store can keep."""

from __future__ import annotations

import traceback
from types import TracebackType

from ..domain.job import JobError
from ..handlers.remote import RemoteHandlerError

__all__ = ["describe_error", "storable"]

_LONGEST_MESSAGE = 8_000
_LONGEST_TRACEBACK = 32_000


def storable(text: str, longest: int) -> str:
    """``text`` without what databases refuse (NUL, lone surrogates), cut in the middle when too long."""
    text = text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) > longest:
        half = longest // 2
        text = f"{text[:half]}\n... {len(text) - 2 * half} characters cut ...\n{text[-half:]}"
    return text


def describe_error(error: BaseException) -> JobError:
    """The type, message and traceback of an exception that a handler raised.

    The frames of the engine itself are left out: the traceback begins with the handler.
    """
    if isinstance(error, RemoteHandlerError):
        # it was described where it was raised, in a child process
        return error.job_error
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        message = str(error)
    except Exception as fault:
        message = f"<its text cannot be shown: {type(fault).__name__}>"
    lines = traceback.format_exception(kind, error, _skip_engine(error))
    return JobError(
        storable(name, 500),
        storable(message, _LONGEST_MESSAGE),
        storable("".join(lines), _LONGEST_TRACEBACK),
    )


def _skip_engine(error: BaseException) -> TracebackType | None:
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        if not frames.tb_frame.f_globals.get("__name__", "").startswith("jobmaster."):
            break
        frames = frames.tb_next
    return frames
