"""Waiting for a job to end: woken by this process's own workers, else by looking at the store."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from uuid import UUID

from ..domain.durations import Duration, as_timedelta, describe_duration
from ..domain.job import Job
from ..engine.backoff import Backoff
from ..engine.completions import Completions
from ..engine.signals import tell
from ..engine.storethreads import StoreThreads

__all__ = ["wait_for", "wait_for_async"]

_LEAST_LOOK = 0.5
"""Seconds that a look may take at least, also when less is left: a timeout of nothing looks once."""


class _Patience:
    """When to look next, and when to give up. Looks are cheap at first and rarer with time."""

    def __init__(self, job_id: UUID, timeout: Duration | None) -> None:
        self._job_id = job_id
        self._timeout = None if timeout is None else as_timedelta(timeout, "timeout")
        self._end = None if self._timeout is None else time.monotonic() + self._timeout.total_seconds()
        self._looks = Backoff(0.02, 0.5)

    @property
    def look(self) -> float | None:
        """Seconds that a look may take; ``None`` while there is no hurry."""
        return None if self._end is None else max(_LEAST_LOOK, self._end - time.monotonic())

    def next(self, seen: Job | None) -> float:
        """Seconds until the next look; raises ``TimeoutError`` when time is up."""
        pause = self._looks.next()
        if self._end is None or self._timeout is None:
            return pause
        left = self._end - time.monotonic()
        if left <= 0:
            status = "not reachable" if seen is None else seen.status.value.replace("_", " ")
            waited = describe_duration(self._timeout)
            raise TimeoutError(
                f"job {self._job_id} has not ended after {waited}: it is {status}; "
                f"`jobmaster jobs explain {self._job_id}` or scheduler.explain says why"
            )
        return min(pause, left)


def wait_for(
    job_id: UUID,
    timeout: Duration | None,
    look: Callable[[], Job | None],
    completions: Completions,
    threads: StoreThreads,
) -> Job:
    """The finished job. While ``look`` finds nobody who answers, that is waited out; what it raises, such as
    for an unknown job, is raised at once. A store that keeps a look waiting does not prolong the wait."""
    patience = _Patience(job_id, timeout)
    woken = threading.Event()
    unwatch = completions.watch(job_id, woken.set)
    try:
        while True:
            woken.clear()
            bound = patience.look
            try:
                job = look() if bound is None else threads.call(look, bound)
            except TimeoutError:
                job = None
            if job is not None and job.status.is_final:
                return job
            woken.wait(patience.next(job))
    finally:
        unwatch()


async def wait_for_async(
    job_id: UUID,
    timeout: Duration | None,
    look: Callable[[], Job | None],
    completions: Completions,
    threads: StoreThreads,
) -> Job:
    """Async twin of :func:`wait_for`; occupies no thread while it waits."""
    patience = _Patience(job_id, timeout)
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()

    def wake() -> None:
        tell(loop, woken.set)

    unwatch = completions.watch(job_id, wake)
    try:
        while True:
            woken.clear()
            try:
                async with asyncio.timeout(patience.look):
                    job = await threads.run(look)
            except TimeoutError:
                job = None
            if job is not None and job.status.is_final:
                return job
            pause = patience.next(job)
            try:
                async with asyncio.timeout(pause):
                    await woken.wait()
            except TimeoutError:
                continue
    finally:
        unwatch()
