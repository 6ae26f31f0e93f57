"""What lies under a directory, and what a job about each of its files is expected to come to."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...domain.status import Priority

__all__ = ["Entry", "kind_of", "priority_for", "walk"]

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISDIR, "a directory"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One directory entry. ``obstacle`` says why it cannot be read; ``None`` for a readable file."""

    path: str
    size: int
    obstacle: str | None


def walk(
    root: Path, *, without: Path | None, limit: int, closed: Callable[[OSError], None] | None = None
) -> Iterator[Entry]:
    """Every file under ``root`` in a stable order, at most ``limit``; links to directories are left out.

    ``without`` names a database file to leave out, with the files that lie beside it. ``closed`` hears of
    directories that cannot be read.
    """
    left_out = None if without is None else os.path.realpath(without)
    count = 0
    for folder, folders, names in os.walk(root, onerror=closed):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if left_out is not None and os.path.realpath(path).startswith(left_out):
                continue
            if count == limit:
                return
            count += 1
            yield _entry(path)


def _entry(path: str) -> Entry:
    try:
        found = os.stat(path)
    except OSError as fault:
        broken = os.path.islink(path)
        return Entry(
            path, 0, "a link that leads nowhere" if broken else fault.strerror or "cannot be looked at"
        )
    obstacle = kind_of(found.st_mode)
    if obstacle is None and not os.access(path, os.R_OK):
        obstacle = "not readable by this user"
    return Entry(path, found.st_size, obstacle)


def kind_of(mode: int) -> str | None:
    """What a path is instead of a regular file; ``None`` for a regular file."""
    if stat.S_ISREG(mode):
        return None
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "not a regular file")


def priority_for(size: int) -> Priority:
    """Small files first, so that much is done soon."""
    for limit, priority in (
        (1 << 10, Priority.CRITICAL),
        (1 << 13, Priority.HIGH),
        (1 << 16, Priority.MEDIUM),
        (1 << 20, Priority.LOW),
    ):
        if size < limit:
            return priority
    return Priority.VERY_LOW
