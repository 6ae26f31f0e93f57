"""Whether the file behind open SQLite connections still is the one at its path.

A file that was deleted or replaced lives on for those who have it open: writes into it would succeed and be
lost with it.
"""

from __future__ import annotations

import os
import time

from .gateway import StoreMisplaced

__all__ = ["FileWatch"]

_LOOK_EVERY = 1.0


class FileWatch:
    """Remembers which file was opened. A look costs one ``stat``, at most once a second."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: tuple[int, int] | None = None
        self._looked_at = float("-inf")

    def opened(self) -> None:
        """A connection was made: the first one since :meth:`forget` decides which file is meant."""
        if self._known is None:
            self._known = self._present()
            self._looked_at = time.monotonic()

    def check(self, *, now: bool = False) -> None:
        """Raise :class:`StoreMisplaced` when another file, or none, is at the path; ``now`` looks in any
        case."""
        known = self._known
        if known is None:
            return
        instant = time.monotonic()
        if not now and instant - self._looked_at < _LOOK_EVERY:
            return
        present = self._present()
        if present != known:
            what = "was deleted" if present is None else "was replaced by another file"
            raise StoreMisplaced(
                f"{self._path} {what} while it was open: what is written to the old file is lost with it, "
                "so nothing is; put the file back, or restart to begin with what is there"
            )
        self._looked_at = instant

    def forget(self) -> None:
        """The next connection decides anew which file is meant."""
        self._known = None

    def is_there(self) -> bool:
        """Whether there is any file at the path."""
        return self._present() is not None

    def _present(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino
