"""What the processes of these tests run: a handler that notes each run, and when."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import datetime
from itertools import pairwise

from jobmaster import JobContext, JobHandler

__all__ = ["Beat", "Beats", "beats"]


class Beats:
    """The runs of one test, noted by all clusters in its process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: list[tuple[str, datetime, float]] = []

    def note(self, schedule_id: str, occurrence: datetime) -> None:
        with self._lock:
            self._noted.append((schedule_id, occurrence, time.time()))

    def clear(self) -> None:
        with self._lock:
            self._noted.clear()

    def of(self, schedule_id: str) -> list[datetime]:
        """The occurrences that ran, sorted, as often as they ran."""
        with self._lock:
            return sorted(at for name, at, _ in self._noted if name == schedule_id)

    def doubled(self, schedule_id: str) -> list[datetime]:
        """Those that ran more than once."""
        return [at for at, times in Counter(self.of(schedule_id)).items() if times > 1]

    def mean_interval(self, schedule_id: str) -> float:
        """Seconds between one start and the next, on average."""
        with self._lock:
            started = sorted(at for name, _, at in self._noted if name == schedule_id)
        gaps = [b - a for a, b in pairwise(started)]
        return sum(gaps) / len(gaps)

    def latest(self, schedule_id: str) -> float:
        """The longest time from an occurrence to its run, in seconds."""
        with self._lock:
            return max(at - due.timestamp() for name, due, at in self._noted if name == schedule_id)


beats = Beats()


class Beat(JobHandler, definition_id="beat"):
    async def handle(self, job: JobContext) -> None:
        if job.schedule_id is not None and job.occurrence_at is not None:
            beats.note(job.schedule_id, job.occurrence_at)
