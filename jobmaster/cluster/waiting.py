"""Waiting for a job to end: woken by this process's own workers, else by looking at the store."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from uuid import UUID

from ..domain.durations import Duration, as_timedelta
from ..domain.job import Job
from ..engine.backoff import Backoff
from ..engine.completions import Completions
from ..engine.storethreads import StoreThreads
from ..errors import TransientStoreError

__all__ = ["wait_for", "wait_for_async"]



class _Patience:
    """When to look next, and when to give up. Looks are cheap at first and rarer with time."""

    def __init__(self, job_id: UUID, timeout: Duration | None) -> None:
        self._job_id = job_id
        self._timeout = None if timeout is None else as_timedelta(timeout, "timeout").total_seconds()
        self._end = None if self._timeout is None else time.monotonic() + self._timeout
        self._looks = Backoff(0.02, 0.5)

    def next(self, seen: Job | None) -> float:
        """Seconds until the next look; raises ``TimeoutError`` when time is up."""
        pause = self._looks.next()
        if self._end is None:
            return pause
        left = self._end - time.monotonic()
        if left <= 0:
            status = "not reachable" if seen is None else seen.status.value.replace("_", " ")
            raise TimeoutError(f"job {self._job_id} has not ended after {self._timeout:g} s: it is {status}")
        return min(pause, left)


def wait_for(
    job_id: UUID, timeout: Duration | None, look: Callable[[], Job], completions: Completions
) -> Job:
    """The finished job. An outage of the store is waited out; an unknown job raises at once."""
    patience = _Patience(job_id, timeout)
    woken = threading.Event()
    unwatch = completions.watch(job_id, woken.set)
    try:
        while True:
            woken.clear()
            job: Job | None
            try:
                job = look()
            except TransientStoreError:
                job = None
            if job is not None and job.status.is_final:
                return job
            woken.wait(patience.next(job))
    finally:
        unwatch()


async def wait_for_async(
    job_id: UUID,
    timeout: Duration | None,
    look: Callable[[], Job],
    completions: Completions,
    threads: StoreThreads,
) -> Job:
    """Async twin of :func:`wait_for`; occupies no thread while it waits."""
    patience = _Patience(job_id, timeout)
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()
    def wake() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(woken.set)

    unwatch = completions.watch(job_id, wake)
    try:
        while True:
            woken.clear()
            job: Job | None
            try:
                job = await threads.run(look)
            except TransientStoreError:
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
