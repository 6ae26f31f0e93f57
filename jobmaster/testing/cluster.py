"""A cluster in memory whose time a test moves by hand."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType

from ..cluster.backend import Agent, Stores
from ..cluster.cluster import Cluster
from ..cluster.config import ClusterConfig
from ..cluster.scheduler import Scheduler
from ..cluster.settings import DatabaseSettings
from ..domain.durations import Duration, as_timedelta
from .clock import FakeClock
from .memory import (
    MemoryDatabase,
    MemoryMasterStore,
    MemoryScheduleStore,
    MemorySettlement,
    MemoryTransport,
)

__all__ = ["MemoryCluster"]

_ENDLESS = timedelta(days=36500)
_STILL = 12
"""Turns of the event loop in a row without a sign of work after which nothing more is expected."""


class MemoryCluster:
    """Runs the real engine on stores in memory and on a clock that stands still until :meth:`advance`.

    Takes any config, with or without a database: whatever it names is not touched. ``database`` is that of an
    earlier ``MemoryCluster``, with its clock: the next deployment on the same data. Handlers run for real;
    what they await outside of the job (``asyncio.sleep``, network) takes real time.

    >>> async def test_the_reminder_goes_out_after_a_day() -> None:
    ...     async with MemoryCluster(ClusterConfig("test").add_worker()) as cluster:
    ...         job = await cluster.scheduler.once_after_async(Reminder, timedelta(days=1))
    ...         await cluster.advance(timedelta(days=1))
    ...         assert (await cluster.scheduler.get_job_async(job.id)).status is JobStatus.SUCCEEDED
    """

    def __init__(
        self,
        config: ClusterConfig,
        start: datetime | None = None,
        *,
        database: MemoryDatabase | None = None,
    ) -> None:
        clock = FakeClock() if start is None else FakeClock(start)
        self.database = MemoryDatabase(clock) if database is None else database
        clock_there = self.database.clock
        if not isinstance(clock_there, FakeClock):
            raise TypeError("a MemoryCluster needs a MemoryDatabase on a FakeClock")
        self.clock = clock_there
        settings, registry = config.prepare(DatabaseSettings("memory", "memory"))
        # nobody else could take a lease over, and what needs no renewing lets idle time pass at once
        settings = replace(settings, lease=_ENDLESS)
        master = MemoryMasterStore(self.database)
        held = Agent(
            MemoryTransport(self.database),
            MemorySettlement(self.database),
            master,
            lambda wait: None,
            lambda: None,
            "memory",
            lambda clock: None,
        )
        stores = Stores(master, held, MemoryScheduleStore(self.database), clock=self.clock)
        self._left_running: tuple[int, ...] | None = None
        """The state in which handlers were last left running."""
        self.cluster = Cluster(settings, registry, config.observers, stores=stores)

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler of the cluster."""
        return self.cluster.scheduler

    async def __aenter__(self) -> MemoryCluster:
        await self.cluster.start_async()
        await self.run_due()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stopping = asyncio.ensure_future(self.cluster.stop_async())
        # the stop itself waits on the clock, for handlers in their grace period
        while not stopping.done():
            if not await self._step(self.clock.monotonic() + 1.0):
                await asyncio.sleep(0.001)
        await stopping

    async def run_due(self, patience: float = 0.05) -> None:
        """Let the engine work until nothing that is due now is left to do.

        Handlers that run for longer than ``patience`` seconds of real time are left running: they may wait
        for the clock of the test.
        """
        still, give_up_at = 0, time.monotonic() + patience
        seen: tuple[int, ...] = ()
        while still < _STILL:
            now = (len(self.database.history), len(self.database.live), *self.cluster.load)
            if now != seen:
                seen, still, give_up_at = now, 0, time.monotonic() + patience
            elif not any(self.cluster.load) or now == self._left_running:
                still += 1
            elif time.monotonic() >= give_up_at:
                self._left_running = now
                return
            else:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0)

    async def advance(self, duration: Duration) -> None:
        """Let ``duration`` (``timedelta`` or seconds) pass, step by step, running whatever comes due."""
        end = self.clock.monotonic() + as_timedelta(duration, "duration").total_seconds()
        await self.run_due()
        while await self._step(end):
            await self.run_due()
        self.clock.advance(max(0.0, end - self.clock.monotonic()))
        await self.run_due()

    async def _step(self, end: float) -> bool:
        """Move on by one step, unless that leads beyond ``end``.

        While handlers run, by no more than it takes for the next loop to wake, or a second; else to the next
        job or schedule that comes due.
        """
        wake, now = self.clock.next_wake, self.clock.monotonic()
        if wake is None:
            return False
        target = max(wake, now + 1.0) if any(self.cluster.load) else max(wake, end)
        due, overdue = self._next_due(now)
        if overdue:
            # a planner is to look at it, as soon as it wakes
            target = max(wake, now)
        elif due is not None:
            target = min(target, due)
        if target > end or target <= now:
            return False
        self.clock.advance(target - now)
        for _ in range(5):
            await asyncio.sleep(0)
        return True

    def _next_due(self, now: float) -> tuple[float | None, bool]:
        """The monotonic instant after ``now`` at which a waiting job or a schedule is due; and whether one is
        that its planner has not come to yet."""
        with self.database.lock:
            jobs = [row.run_at for row in self.database.live.values() if row.bucket_id is None]
            schedules = [s.due_at for s in self.database.schedules.values() if s.due_at is not None]
        present = self.clock.now()
        mode = self.database.settings.get("cluster_mode")
        if (mode is None or mode.value == "active") and any(at <= present for at in schedules):
            return None, True
        coming = [at for at in (*jobs, *schedules) if at > present]
        return (now + (min(coming) - present).total_seconds() if coming else None), False
