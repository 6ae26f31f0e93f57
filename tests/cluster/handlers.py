"""Handlers that keep count of their runs in this process."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

from jobmaster import JobContext, JobHandler, Retry

__all__ = ["COUNT", "Blocker", "Counted", "Flaky"]


class _Count:
    """How often each number ran, and on which agent and lane."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.runs: Counter[int] = Counter()
        self.places: dict[int, tuple[str, str]] = {}

    def reset(self) -> None:
        with self._lock:
            self.runs.clear()
            self.places.clear()

    def note(self, job: JobContext) -> None:
        number = job.data.get_int("n")
        with self._lock:
            self.runs[number] += 1
            self.places[number] = (job.agent_connection, job.lane)


COUNT = _Count()


class Counted(JobHandler, definition_id="counted"):
    async def handle(self, job: JobContext) -> int:
        COUNT.note(job)
        return job.data.get_int("n")


class Flaky(JobHandler, definition_id="flaky", retry=Retry.fixed(0.05)):
    async def handle(self, job: JobContext) -> int:
        COUNT.note(job)
        if job.failures == 0:
            raise ValueError("the first run fails")
        return job.attempt


class Blocker(JobHandler, definition_id="blocker"):
    """Runs until its agent or its test lets it go."""

    async def handle(self, job: JobContext) -> None:
        COUNT.note(job)
        await asyncio.sleep(job.data.get_float("seconds"))
