"""The work that any process of the cluster may do for all: rescue, clean, keep the registry and settings."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from ..domain.events import BucketsRescued
from ..ports import Clock, MasterStore, Settlement, WorkerInfo
from .announcer import Announcer
from .options import ClusterLimits
from .storethreads import StoreCalls
from .supervisor import Service, Supervisor
from .worker import Worker

__all__ = ["Coordinator"]

_REGISTRY_EVERY = 10.0
"""At most this many seconds between life signs; more often with a short lease."""
_SETTINGS_EVERY = 5.0
_CLEAN_EVERY = 60.0
_CLEAN_CHUNK = 1000


class Coordinator:
    """Periodic duties of one process, each a service with one ``tick``.

    All of them are safe to run in every process at once: the stores decide who does what.
    """

    def __init__(
        self,
        master: MasterStore,
        settlements: Mapping[str, Settlement],
        workers: Sequence[Worker],
        limits: ClusterLimits,
        lease: timedelta,
        calls: StoreCalls,
        clock: Clock,
        announcer: Announcer,
        refresh: Callable[[], None],
        logger: logging.Logger,
    ) -> None:
        self._master = master
        self._settlements = settlements
        self._workers = workers
        self._limits = limits
        self._lease = lease
        self._calls = calls
        self._clock = clock
        self._announcer = announcer
        self._refresh = refresh
        self._logger = logger
        self._infos: dict[object, WorkerInfo] = {}
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
            phase = rescue_every * random.random()
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
            await self._calls.run(self._master.register_worker, info, self._alive_for)

    async def forget(self) -> None:
        """Take them out again."""
        for info in list(self._infos.values()):
            await self._calls.run(self._master.forget_worker, info.id)
            del self._infos[info.id]

    # -- ticks -----------------------------------------------------------------------------------------

    async def rescue(self) -> float | None:
        """Adopt what dead workers left behind."""
        for name, settlement in self._settlements.items():
            rescued = await self._calls.run(settlement.rescue, self._limits.max_losses)
            if rescued.buckets or rescued.released or rescued.failed:
                self._logger.warning(
                    "rescued %d jobs of %d lost buckets; %d more failed as lost",
                    rescued.released,
                    rescued.buckets,
                    rescued.failed,
                )
                self._announcer.emit(
                    BucketsRescued(name, rescued.buckets, rescued.released, rescued.failed)
                )
                for worker in self._workers:
                    worker.wake()
        return None

    async def clean(self) -> float | None:
        """Delete history beyond its retention, a small chunk per transaction."""
        retention = self._limits.data_retention
        if retention is None:
            return None
        for settlement in self._settlements.values():
            deleted = await self._calls.run(settlement.clean, retention, _CLEAN_CHUNK)
            if deleted >= _CLEAN_CHUNK:
                return 0.05
        return None

    async def see_workers(self) -> float | None:
        """Say in the registry that this process's workers live."""
        for worker in self._workers:
            unknown = worker.unknown_definitions()
            seen = await self._calls.run(self._master.see_worker, worker.id, unknown, self._alive_for)
            info = self._infos.get(worker.id)
            if seen is False and info is not None:
                # the registry was cleaned while this process could not reach it
                await self._calls.run(
                    self._master.register_worker,
                    replace(info, unknown_definitions=unknown),
                    self._alive_for,
                )
        return None

    async def refresh_settings(self) -> float | None:
        """Take over settings that were changed elsewhere; a changed mode wakes the workers."""
        before = self._limits.mode
        await self._calls.run(self._refresh)
        if self._limits.mode is not before:
            self._logger.info("cluster mode is now %s (was %s)", self._limits.mode.value, before.value)
            for worker in self._workers:
                worker.wake()
        return None
