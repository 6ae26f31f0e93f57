"""Waiting longer after each fault in a row."""

from __future__ import annotations

import random

__all__ = ["Backoff"]


class Backoff:
    """Delays in seconds that double from ``first`` to ``most``, each drawn between half and the whole."""

    __slots__ = ("_first", "_most", "_next")

    def __init__(self, first: float, most: float) -> None:
        self._first = first
        self._most = most
        self._next = first

    def next(self) -> float:
        """The delay before the next try."""
        delay = self._next
        self._next = min(delay * 2, self._most)
        return delay * (0.5 + random.random() / 2)

    def reset(self) -> None:
        """It worked: begin from the first delay again."""
        self._next = self._first
