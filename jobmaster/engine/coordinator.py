"""The work that any process of the cluster may do for all: rescue, clean, keep the registry and settings."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from ..domain.events import BucketsRescued
from ..errors import ConfigurationError, StoreError, TransientStoreError
from ..ports import Clock, MasterStore, Settlement, Tended, WorkerInfo
from ..ports.settlement import Rescue
from .announcer import Announcer
from .options import ClusterLimits
from .roster import Roster
from .storethreads import StoreCalls
from .supervisor import Service, Supervisor
from .together import together
from .uninterrupted import to_its_end
from .worker import Worker

__all__ = ["Coordinator"]

_REGISTRY_EVERY = 10.0
"""At most this many seconds between life signs; more often with a short lease."""
_SETTINGS_EVERY = 6.0
_CLEAN_EVERY = 60.0
_CLEAN_CHUNK = 1000
_MOST_COUNTED = 10_000
"""How far the backlog of a lane is counted."""


class Coordinator:
    """Periodic duties of one process, each a service with one ``tick``.

    All of them are safe to run in every process at once: the stores decide who does what. ``reach`` opens and
    gives the settlements of all agents that answer, by name; it may block.
    """

    def __init__(
        self,
        master: MasterStore,
        held: Settlement,
        reach: Callable[[], Mapping[str, Settlement]],
        workers: Sequence[Worker],
        roster: Roster | None,
        limits: ClusterLimits,
        lease: timedelta,
        calls: StoreCalls,
        clock: Clock,
        announcer: Announcer,
        refresh: Callable[[], None],
        logger: logging.Logger,
    ) -> None:
        self._master = master
        self._held = held
        self._reach = reach
        self._workers = {worker.id: worker for worker in workers}
        self._roster = roster
        self._limits = limits
        self._lease = lease
        self._calls = calls
        self._clock = clock
        self._announcer = announcer
        self._refresh = refresh
        self._logger = logger
        self._infos: dict[UUID, WorkerInfo] = {}
        self._untended = ""
        """What was last said about parts of the history that could not be tended."""
        self._seen_every = min(_REGISTRY_EVERY, lease.total_seconds() * 2 / 3)
        self._alive_for = timedelta(seconds=self._seen_every) + lease

    def start(self, supervisor: Supervisor, *, coordinates: bool) -> None:
        """Start the duties; without ``coordinates`` only those that concern this process itself."""
        clock, logger = self._clock, self._logger
        services = [
            Service("settings", self.refresh_settings, _SETTINGS_EVERY, clock, logger, first_after=1.0),
            Service("registry", self.see_workers, self._seen_every, clock, logger),
        ]
        if coordinates:
            # a random phase keeps fifty processes that were started together from asking together
            rescue_every = self._lease.total_seconds() / 3
            phase = min(rescue_every, _CLEAN_EVERY) * random.random()
            services += [
                Service("reaper", self.rescue, rescue_every, clock, logger, first_after=phase),
                Service("cleaner", self.clean, _CLEAN_EVERY, clock, logger, first_after=phase + 1.0),
            ]
        for service in services:
            supervisor.start(service.name, service.run)

    async def register(self, infos: Sequence[WorkerInfo]) -> None:
        """Enter this process's workers into the registry."""
        for info in infos:
            self._infos[info.id] = info
            await to_its_end(self._calls.run(self._master.register_worker, info, self._alive_for))

    async def forget(self) -> None:
        """Take them out again."""
        for info in list(self._infos.values()):
            await self._calls.run(self._master.forget_worker, info.id)
            del self._infos[info.id]

    # -- ticks -----------------------------------------------------------------------------------------

    async def rescue(self) -> float | None:
        """Adopt what dead workers left behind, on every agent that answers; the master is not needed."""
        reached = await self._calls.run(self._reach)
        # all at once: none waits for one that is silent
        await together(self._rescue_on(name, settlement) for name, settlement in reached.items())
        return None

    async def _rescue_on(self, name: str, settlement: Settlement) -> None:
        try:
            rescued = await self._calls.run(settlement.rescue, self._limits.max_losses)
        except (StoreError, ConfigurationError) as fault:
            if self._roster is None:
                raise
            self._roster.down(name)
            self._logger.warning("agent %r cannot be rescued now: %s", name, fault)
            return
        if self._roster is not None:
            self._roster.up(name)
        if rescued.buckets or rescued.released or rescued.failed:
            self._logger.warning("%s", _told(rescued))
            self._announcer.emit(BucketsRescued(name, rescued.buckets, rescued.released, rescued.failed))
            self._wake_workers()

    async def clean(self) -> float | None:
        """Delete history beyond its retention: whole parts where it has parts, else a small chunk per
        transaction."""
        if self._roster is not None:
            # left by a standalone cluster that this one grew out of, or by a mirror that came late
            await self._calls.run(self._held.rescue, self._limits.max_losses)
            await self._calls.run(self._master.unmirror)
        retention = self._limits.data_retention
        tended = await self._tend(retention)
        if retention is None:
            return None
        deleted = await self._calls.run(self._held.clean, retention + tended.leeway, _CLEAN_CHUNK)
        return 0.05 if deleted >= _CLEAN_CHUNK or tended.more else None

    async def _tend(self, retention: timedelta | None) -> Tended:
        """See to the parts of the history; what they cannot do is done in chunks."""
        try:
            tended = await self._calls.run(self._master.tend_history, retention)
        except TransientStoreError:
            raise
        except StoreError as fault:
            if str(fault) != self._untended:
                self._logger.warning("the parts of the history are left as they are: %s", fault)
            self._untended = str(fault)
            return Tended()
        self._untended = ""
        return tended

    async def see_workers(self) -> float | None:
        """Say in the registry that this process's workers live, and what waits for them."""
        await together(self._see(info) for info in list(self._infos.values()))
        return None

    async def _see(self, info: WorkerInfo) -> None:
        worker = self._workers.get(info.id)
        unknown = worker.unknown_definitions() if worker is not None else ()
        backlog = await self._backlog(worker) if worker is not None else 0
        seen = await self._calls.run(self._master.see_worker, info.id, unknown, self._alive_for, backlog)
        if seen is False:
            # the registry was cleaned while this process could not reach it
            again = replace(info, unknown_definitions=unknown, backlog=backlog)
            await self._calls.run(self._master.register_worker, again, self._alive_for)

    async def _backlog(self, worker: Worker) -> int:
        if self._roster is None:
            return 0
        try:
            return await self._calls.run(worker.backlog, _MOST_COUNTED)
        except StoreError as fault:
            self._logger.debug("the backlog of worker %s is not known: %s", worker.options.name, fault)
            return 0

    async def refresh_settings(self) -> float | None:
        """Take over settings that were changed elsewhere; a changed mode wakes the workers."""
        before = self._limits.mode
        await self._calls.run(self._refresh)
        if self._limits.mode is not before:
            self._logger.info("cluster mode is now %s (was %s)", self._limits.mode.value, before.value)
            self._wake_workers()
        return None

    def _wake_workers(self) -> None:
        for worker in self._workers.values():
            worker.wake()


def _told(rescued: Rescue) -> str:
    if not rescued.released and not rescued.failed:
        return f"{rescued.buckets} lost buckets are given up; they held no jobs, as far as is known yet"
    lost = f"of {rescued.buckets} lost buckets" if rescued.buckets else "whose worker had died"
    return f"rescued {rescued.released} jobs {lost}; {rescued.failed} more failed as lost"
