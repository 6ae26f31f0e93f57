"""The handlers' own record: one line per start and end, appended to a file outside of the system."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Mark", "Recorder", "read_record"]


@dataclass(frozen=True, slots=True)
class Mark:
    """One line: job ``number`` began or ended run ``attempt`` in process ``pid`` at a monotonic instant."""

    number: int
    attempt: int
    what: str
    pid: int
    at: float


class Recorder:
    """Appends lines; a line is one write, so that lines of several processes never mix."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, number: int, attempt: int, what: str) -> None:
        line = f"{number} {attempt} {what} {os.getpid()} {time.monotonic():.6f}\n"
        os.write(self._file, line.encode())


def read_record(path: Path) -> dict[int, list[Mark]]:
    """The marks of every job, in the order in which they were written."""
    marks: dict[int, list[Mark]] = defaultdict(list)
    if path.exists():
        for line in path.read_text().splitlines():
            number, attempt, what, pid, at = line.split()
            marks[int(number)].append(Mark(int(number), int(attempt), what, int(pid), float(at)))
    return marks
