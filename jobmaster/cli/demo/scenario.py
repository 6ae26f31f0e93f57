"""Enqueues the jobs of one demonstration, cancels the one to be cancelled, waits for the end of all."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from ...cluster.requests import JobRequest
from ...domain.events import BucketsRescued, Event, JobFinished, JobRetrying, JobStarted
from ...domain.status import JobStatus, Priority
from .files import Entry, priority_for
from .handlers import LANE, InspectFile, be_late, never_end, stumble, take_too_long, text_path

if TYPE_CHECKING:
    from ...cluster.scheduler import Scheduler
    from .display import Display

__all__ = ["DELAY", "LIVE", "Run", "Watcher", "count_leftovers", "play"]

DELAY = 2.0
"""Seconds after which the delayed job is due."""
LIVE = tuple(status for status in JobStatus if not status.is_final)
_CHUNK = 500
_LOOK_EVERY = 0.2
_PATIENCE = 60.0
"""Seconds without any progress after which waiting is given up."""


@dataclass(slots=True)
class Run:
    """What one demonstration enqueued, by the ids that the store gave."""

    id: str = field(default_factory=lambda: secrets.token_hex(4))
    files: list[Entry] = field(default_factory=list)
    stumbling: UUID | None = None
    too_long: UUID | None = None
    cancelled: UUID | None = None
    late: UUID | None = None
    closed: list[str] = field(default_factory=list)
    """Directories that could not be read, with the reason."""
    leftovers: int = 0
    """Live jobs that an earlier, interrupted run had left."""
    still_live: int = 0
    """Live jobs when waiting ended; 0 unless it was given up."""
    seconds: float = 0.0

    def note_closed(self, fault: OSError) -> None:
        """Remember a directory that could not be read."""
        self.closed.append(f"{fault.filename}: cannot be read: {fault.strerror}")

    @property
    def special(self) -> tuple[UUID, ...]:
        """The jobs that are not about files."""
        jobs = (self.stumbling, self.too_long, self.cancelled, self.late)
        return tuple(job for job in jobs if job is not None)


class Watcher:
    """Counts what happens in this process, and tells when a certain job has started."""

    def __init__(self) -> None:
        self.finished = dict.fromkeys((JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED), 0)
        self.retries = 0
        self.rescued = 0
        self.last = ""
        self.started: dict[UUID, asyncio.Event] = {}
        self.seen = 0

    def on_event(self, event: Event) -> None:
        """Take note of one event."""
        self.seen += 1
        match event:
            case JobFinished():
                self.finished[event.status] += 1
                if event.status is not JobStatus.SUCCEEDED:
                    self.last = f"{event.definition_id} {event.status.value}: {event.error}"
            case JobRetrying():
                self.retries += 1
                self.last = (
                    f"{event.definition_id} runs again in {event.delay.total_seconds():g} s: {event.error}"
                )
            case BucketsRescued():
                self.rescued += event.released
            case JobStarted():
                if event.job_id in self.started:
                    self.started[event.job_id].set()

    @property
    def ended(self) -> int:
        """How many jobs have ended."""
        return sum(self.finished.values())


async def play(
    scheduler: Scheduler, watcher: Watcher, entries: Iterable[Entry], display: Display, run: Run
) -> None:
    """Do it all, and note in ``run`` what was done."""
    began = time.monotonic()
    await _take_over(scheduler, run)
    kept = {"run": run.id}
    late = await scheduler.once_after_async(be_late, DELAY, metadata=kept, priority=Priority.HIGH)
    run.late = late.id
    run.stumbling = (await scheduler.once_now_async(stumble, metadata=kept, priority=Priority.CRITICAL)).id
    run.too_long = (await scheduler.once_now_async(take_too_long, metadata=kept, priority=Priority.LOW)).id
    run.cancelled = (await scheduler.once_now_async(never_end, metadata=kept, priority=Priority.HIGH)).id
    watcher.started[run.cancelled] = asyncio.Event()
    cancelling = asyncio.create_task(_cancel_once_started(scheduler, watcher, run.cancelled))
    showing = asyncio.create_task(display.follow(watcher, run))
    try:
        await _enqueue_files(scheduler, entries, run)
        await cancelling
        run.still_live = await _wait_for_all(scheduler, watcher)
    finally:
        cancelling.cancel()
        showing.cancel()
        await asyncio.gather(cancelling, showing, return_exceptions=True)
        run.seconds = time.monotonic() - began


async def count_leftovers(scheduler: Scheduler) -> int:
    """How many live jobs an earlier run has left."""
    return await scheduler.count_jobs_async(status=LIVE, lane=LANE)


async def _take_over(scheduler: Scheduler, run: Run) -> None:
    """What an interrupted demonstration left is finished by this one, but for what would never end."""
    if run.leftovers:
        endless = await scheduler.find_jobs_async(
            status=LIVE, lane=LANE, definition_id="demo.cancel-me", limit=1000
        )
        for job in endless:
            await scheduler.cancel_job_async(job.id)


async def _enqueue_files(scheduler: Scheduler, entries: Iterable[Entry], run: Run) -> None:
    chunk: list[Entry] = []
    for entry in entries:
        chunk.append(entry)
        if len(chunk) == _CHUNK:
            await _enqueue(scheduler, chunk, run)
            chunk = []
    if chunk:
        await _enqueue(scheduler, chunk, run)


async def _enqueue(scheduler: Scheduler, chunk: list[Entry], run: Run) -> None:
    requests = [
        JobRequest(
            InspectFile, text_path(entry.path), priority=priority_for(entry.size), metadata={"run": run.id}
        )
        for entry in chunk
    ]
    await scheduler.once_many_async(requests, returning="ids")
    run.files += chunk


async def _cancel_once_started(scheduler: Scheduler, watcher: Watcher, job_id: UUID) -> None:
    try:
        await asyncio.wait_for(watcher.started[job_id].wait(), 5)
    except TimeoutError:
        # another process may run it; a request to cancel finds it wherever it is
        watcher.last = "the job to be cancelled has not started here"
    await scheduler.cancel_job_async(job_id)


async def _wait_for_all(scheduler: Scheduler, watcher: Watcher) -> int:
    """Wait until nothing is live; how many still are when nothing has happened for too long."""
    before: tuple[int, int] | None = None
    changed = time.monotonic()
    while True:
        live = await scheduler.count_jobs_async(status=LIVE, lane=LANE)
        if live == 0:
            return 0
        if (live, watcher.seen) != before:
            before, changed = (live, watcher.seen), time.monotonic()
        elif time.monotonic() - changed > _PATIENCE:
            return live
        await asyncio.sleep(_LOOK_EVERY)
