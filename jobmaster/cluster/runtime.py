"""The running half of a cluster: its workers and duties in one event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from dataclasses import dataclass
from uuid import UUID

from ..domain.events import SettingChanged
from ..domain.ids import uuid7
from ..domain.job import DEFAULT_LANE
from ..domain.status import WorkerMode
from ..engine.announcer import Announcer
from ..engine.border import ALONE
from ..engine.children import ChildRunner
from ..engine.coordinator import Coordinator
from ..engine.frontier import Frontier
from ..engine.gate import Gate
from ..engine.options import WorkerOptions
from ..engine.planner import Planner
from ..engine.province import Province
from ..engine.storethreads import InlineStoreThreads, StoreCalls, StoreThreads
from ..engine.supervisor import Supervisor
from ..engine.threads import ThreadRunner
from ..engine.uninterrupted import to_its_end
from ..engine.worker import Worker
from ..errors import StoreError
from ..handlers import HandlerRegistry, WorkerSite
from ..ports import Settlement, WorkerInfo
from .backend import Backend
from .scheduler import Scheduler
from .settings import ClusterSettings, WorkerSettings
from .timetable import Timetable

__all__ = ["Runtime"]

_RUNS = (WorkerMode.FULL, WorkerMode.EXECUTION)


@dataclass(frozen=True, slots=True)
class _Post:
    """A worker and the runners that are its own."""

    worker: Worker
    threads: ThreadRunner
    children: ChildRunner


class Runtime:
    """Starts in order, stops in reverse. Belongs to the event loop that called :meth:`start`."""

    def __init__(
        self,
        settings: ClusterSettings,
        registry: HandlerRegistry,
        backend: Backend,
        scheduler: Scheduler,
        announcer: Announcer,
        timetable: Timetable,
        logger: logging.Logger,
    ) -> None:
        self._timetable = timetable
        self._settings = settings
        self._registry = registry
        self._backend = backend
        self._scheduler = scheduler
        self._announcer = announcer
        self._logger = logger
        self._calls: StoreCalls = (
            InlineStoreThreads()
            if backend.in_loop
            # enough for all that can wait at once for stores that are silent
            else StoreThreads(3 * len(settings.workers) + 4 + 3 * len(settings.agents), "jobmaster-store")
        )
        self._gates: dict[str, Gate] = {}
        """How many settles at once this process gives to an agent."""
        self._frontiers: dict[tuple[str, str], Frontier] = {}
        """How far its claims have come, by agent and lane."""
        self._supervisor = Supervisor(logger)
        self._posts: list[_Post] = []
        self._coordinator: Coordinator | None = None
        self._province: Province | None = None
        self._planner: Planner | None = None
        self._stopping = False

    @property
    def workers(self) -> list[Worker]:
        """The workers of this process."""
        return [post.worker for post in self._posts]

    async def start(self) -> None:
        """Open the stores, declare settings, open services, start workers and duties.

        What was started is stopped again when a later step fails; then its error is raised.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        wait = self._settings.startup_timeout.total_seconds()
        # who stops a start need not wait as long as it would wait for a database
        await self._calls.run(self._backend.open, wait)
        for name, old, new in await to_its_end(self._calls.run(self._backend.declare)):
            self._logger.info("setting %s changed from %r to %r: declared in code", name, old, new)
            self._announcer.emit(SettingChanged(name, old, new))
        await to_its_end(self._calls.run(self._timetable.declare, self._settings.static, self._logger))
        for name in self._own_agents():
            await self._calls.run(self._backend.agent, name, wait)
        await self._registry.open()
        if self._backend.distributed:
            self._province = self._make_province()
        infos: list[WorkerInfo] = []
        for wanted in self._settings.workers:
            if wanted.mode not in _RUNS:
                infos.append(self._info(self._options(wanted), wanted.agent_connection))
                continue
            post = self._post(wanted)
            self._posts.append(post)
            await post.worker.start()
            infos.append(self._info(post.worker.options, wanted.agent_connection))
        self._coordinator = Coordinator(
            self._backend.master,
            self._backend.held.settlement,
            self._reach,
            self.workers,
            self._backend.roster if self._backend.distributed else None,
            self._backend.limits,
            self._settings.lease,
            self._calls,
            self._backend.clock,
            self._announcer,
            self._backend.refresh,
            self._logger,
        )
        await self._coordinator.register(infos)
        if self._province is not None:
            await self._calls.run(self._backend.refresh)
            await self._province.start(self._supervisor)
        self._coordinator.start(self._supervisor, coordinates=self._coordinates)
        if self._coordinates:
            self._planner = self._make_planner()
            await self._planner.start(self._supervisor)

    @property
    def _coordinates(self) -> bool:
        return any(w.mode in (WorkerMode.FULL, WorkerMode.COORDINATOR) for w in self._settings.workers)

    def _own_agents(self) -> list[str]:
        return sorted({wanted.agent_connection for wanted in self._settings.workers})

    def _reach(self) -> dict[str, Settlement]:
        return {agent.name: agent.settlement for agent in self._backend.reachable()}

    def _make_province(self) -> Province:
        backend = self._backend
        province = Province(
            {name: agent.transport for name, agent in backend.agents.items()},
            self._own_agents(),
            self._coordinates,
            backend.master,
            backend.held.transport,
            backend.roster,
            backend.limits,
            backend.threshold,
            backend.lease,
            self._calls,
            backend.clock,
            backend.learn_clocks,
            self._logger,
        )
        for wanted in self._settings.workers:
            if wanted.mode is WorkerMode.DRAIN:
                # one that names no lane empties the whole agent
                lane = None if wanted.lane == DEFAULT_LANE else wanted.lane
                province.mover.emptied[wanted.agent_connection] = lane
        return province

    def _make_planner(self) -> Planner:
        backend = self._backend
        return Planner(
            backend.cluster_id,
            backend.schedules,
            backend.master,
            backend.limits,
            backend.held.transport.listen,
            self._scheduler.cancel_job,
            self._calls,
            backend.clock,
            self._announcer,
            self._logger,
        )

    def _options(self, wanted: WorkerSettings) -> WorkerOptions:
        settings = self._settings
        return WorkerOptions(
            uuid7(),
            wanted.name,
            wanted.lane,
            wanted.mode,
            wanted.batch_size,
            settings.lease,
            settings.grace_period,
            wanted.parallelism_factor,
            wanted.concurrency,
            {int(priority): count for priority, count in wanted.bucket_quantity.items()},
            self._backend.in_loop,
        )

    def _post(self, wanted: WorkerSettings) -> _Post:
        options = self._options(wanted)
        backend = self._backend
        agent = backend.agents[wanted.agent_connection]
        threads = ThreadRunner(options.slots, f"jobmaster-{wanted.name}")
        children = ChildRunner(options.slots)
        site = WorkerSite(
            cluster_id=backend.cluster_id,
            agent_connection=agent.name,
            worker_id=options.id,
            worker_name=options.name,
            lane=options.lane,
            scheduler=self._scheduler,
            clock=backend.clock,
            threads=threads,
            children=children,
            logger=self._logger.getChild(f"worker.{options.name}"),
        )
        clock, place = backend.worker_clock, (agent.name, options.lane)
        if agent.name not in self._gates:
            self._gates[agent.name] = Gate(agent.settlement.at_once)
        if place not in self._frontiers:
            self._frontiers[place] = Frontier(clock)
        worker = Worker(
            site,
            options,
            backend.limits,
            agent.transport,
            agent.settlement,
            self._calls,
            clock,
            self._registry.get,
            self._announcer,
            site.logger,
            children.set_trusted_until,
            self._province.border(agent.name) if self._province is not None else ALONE,
            self._gates[agent.name],
            self._frontiers[place],
        )
        return _Post(worker, threads, children)

    def _info(self, options: WorkerOptions, agent: str) -> WorkerInfo:
        now = self._backend.clock.now()
        return WorkerInfo(
            options.id,
            options.name,
            agent,
            options.lane,
            options.mode,
            socket.gethostname(),
            os.getpid(),
            now,
            now,
            options.slots,
        )

    async def stop(self) -> None:
        """Stop duties, then workers (cleanly, all at once), then services. Idempotent."""
        if self._stopping:
            return
        self._stopping = True
        await self._supervisor.stop()
        await asyncio.gather(*(self._dismiss(post) for post in self._posts))
        if self._planner is not None:
            await self._planner.stop()
        if self._province is not None:
            await self._province.stop()
        if self._coordinator is not None:
            try:
                await self._coordinator.forget()
            except StoreError as fault:
                self._logger.warning("workers stay in the registry until they count as dead: %s", fault)
        await self._registry.close()
        self._calls.close()

    async def _dismiss(self, post: _Post) -> None:
        try:
            await post.worker.stop()
        finally:
            await post.children.close()
            post.threads.close()

    def hurry(self) -> None:
        """End the grace period of a stop that is under way."""
        for post in self._posts:
            post.worker.hurry()

    @property
    def load(self) -> tuple[int, int]:
        """Claimed jobs held here, and outcomes not stored yet."""
        workers = self.workers
        return sum(w.dispatcher.held_jobs for w in workers), sum(w.unsettled for w in workers)

    def wake(self, lane: str | None) -> None:
        """Jobs were enqueued in this process. From any thread."""
        for post in self._posts:
            post.worker.wake(lane)
        if self._province is not None:
            self._province.wake(lane)
        if self._planner is not None:
            self._planner.wake(lane)

    def cancel(self, job_id: UUID) -> None:
        """A cancellation was requested in this process. From any thread."""
        for post in self._posts:
            post.worker.cancel(job_id)
