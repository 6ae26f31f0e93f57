"""Statements as drivers take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Text", "Texts"]


@dataclass(frozen=True, slots=True)
class Text:
    """A statement ready for the driver. ``names``: its parameters, with ``qmark`` once for every place;
    ``lists``: those that hold several values."""

    sql: str
    names: tuple[str, ...]
    lists: tuple[str, ...] = ()


class Texts(dict[str, Text]):
    """Statements by name, each rendered when it is asked for first: a process needs few of them."""

    def __init__(self, render: Callable[[str], Text], templates: Mapping[str, str]) -> None:
        super().__init__()
        self._render = render
        self._templates = templates

    def __missing__(self, name: str) -> Text:
        text = self[name] = self._render(self._templates[name])
        return text

    def all(self) -> dict[str, Text]:
        """Every one of them, rendered."""
        return {name: self[name] for name in self._templates}
