"""One simulated cluster: stores, processes, producers, and whoever breaks them, all from one seed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from jobmaster import ClusterConfig, JobContext, JobHandler, Retry
from jobmaster.cluster import runtime as runtime_module
from jobmaster.cluster.backend import Agent, Stores
from jobmaster.cluster.cluster import Cluster
from jobmaster.cluster.settings import DatabaseSettings
from jobmaster.domain import ids
from jobmaster.domain.job import NewJob
from jobmaster.engine.clock import SystemClock
from jobmaster.engine.renewer import Renewer
from jobmaster.errors import JobMasterError, TransientStoreError
from jobmaster.testing.memory import (
    MemoryAgentSettlement,
    MemoryDatabase,
    MemoryMasterStore,
    MemoryScheduleStore,
    MemorySettlement,
    MemoryTransport,
)

from .indexed import IndexedDatabase
from .ledger import Ledger, Plan, Violated
from .loop import PROCESS, Process, SimulatedLoop, State
from .stores import Calls, Place, StoreLock, StoreView, drive, pause

__all__ = ["THOUSANDS", "Report", "Scene", "World", "simulate"]

START = datetime(2026, 1, 1, tzinfo=UTC)


class Simulated(JobHandler, definition_id="simulated", retry=Retry.fixed(0.3)):
    """Does what the ledger has planned for it."""

    async def handle(self, job: JobContext) -> int:
        process = PROCESS.get()
        assert isinstance(process, Node)
        return await process.world.ledger.run(job)


@dataclass(frozen=True, slots=True)
class Scene:
    """How big the simulated cluster is and how badly it is treated. Times in seconds."""

    processes: int = 3
    agents: int = 0
    """0: a standalone cluster."""
    jobs: int = 120
    batches: int = 20
    """In how many calls they are enqueued, about."""
    storm: float = 25.0
    """How long jobs come in and faults happen."""
    lease: float = 3.0
    workers: int = 1
    """Per process and agent."""
    concurrency: int = 4
    error_rate: float = 0.01
    """Of store calls, each for errors before and after the effect."""
    slow_rate: float = 0.003
    """Of store calls, each way: those that take about as long as a lease, or longer."""
    fault_every: float = 1.2
    """Mean time between faults of processes and servers."""
    longest_run: float = 1.5
    failures: tuple[int, ...] = (0, 0, 0, 0, 1, 2, 9)
    """How often a job fails is one of these."""
    max_losses: int = 5
    patience: float = 240.0
    """How long after the storm everything has to be done."""
    checked_every: int = 1
    """How many commits there are per check of everything."""
    wakes_lost: float = 0.1
    """Of wake-ups, each for one worker; where thousands wait, to wake them all for a batch costs the most."""
    watchers: int | None = None
    """How many processes stay after the storm, until all has ended and is swept; ``None``: all."""
    coarse: bool = False
    """Whether a look at a store takes its time all at once: in between it could break nothing."""


THOUSANDS = Scene(
    processes=100,
    workers=20,
    jobs=200_000,
    batches=2_000,
    storm=60.0,
    lease=15.0,
    concurrency=10,
    error_rate=0.002,
    fault_every=3.0,
    longest_run=0.2,
    patience=1200.0,
    checked_every=5_000,
    failures=(*[0] * 17, 1, 2, 9),
    wakes_lost=0.99,
    watchers=3,
    coarse=True,
)
"""Two thousand workers with two hundred thousand jobs."""


@dataclass(slots=True)
class Report:
    """What one simulation did."""

    seed: int
    jobs: int = 0
    runs: int = 0
    commits: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    """Of virtual time."""
    trace: str = ""
    """Digest of every store call, in order."""
    lost: int = 0
    """Jobs that failed as lost."""


class StoreClock:
    """The time of the servers."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self.monotonic = loop.time

    def now(self) -> datetime:
        return self.instant(self._loop.time())

    def instant(self, at: float) -> datetime:
        return START + timedelta(seconds=at)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def follow(self, store_now: datetime, asked_at: float, answered_at: float) -> None:
        """It is the time that others follow."""


class Node(Process):
    """A process of the cluster with a clock of its own, hours off until it has asked a store."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(name)
        self.world = world
        self.cluster: Cluster | None = None
        self.starting: asyncio.Task[Any] | None = None


class World:
    """Builds everything from a seed; :meth:`run` lets it live."""

    def __init__(self, seed: int, scene: Scene, loop: SimulatedLoop) -> None:
        self.loop = loop
        self.scene = scene
        self.chance = random.Random(f"world {seed}")
        self.report = Report(seed)
        self._trace = hashlib.sha256()
        self.storming = True
        clock = StoreClock(loop)
        self._clock = clock
        role: Any = "master" if scene.agents else "standalone"
        name = "master" if scene.agents else "standalone"
        self.master = IndexedDatabase(clock, name, role, UUID(int=1), lock=StoreLock())  # type: ignore[arg-type]
        self.agents = [
            IndexedDatabase(clock, f"agent-{n}", "agent", UUID(int=2 + n), lock=StoreLock())  # type: ignore[arg-type]
            for n in range(scene.agents)
        ]
        self.places = {store.name: Place(store.name) for store in (self.master, *self.agents)}
        self.ledger = Ledger(loop, self.master, self.agents, scene.max_losses)
        self.ledger.every = scene.checked_every
        self.nodes: list[Node] = []
        self._numbers = 0
        self._born = 0

    # -- what store calls meet -------------------------------------------------------------------------

    def latency(self) -> float:
        """Mostly about a millisecond; now and then about as long as a lease, or longer."""
        drawn = self.chance.random()
        if self.storming and drawn < self.scene.slow_rate:
            return self.chance.uniform(0.2, 3.0) * self.scene.lease
        return 0.0002 + drawn * 0.003

    def wake_delay(self) -> float | None:
        """Seconds until a wake-up is heard; ``None`` when it is lost."""
        lost = self.chance.random() < self.scene.wakes_lost
        return None if lost else self.chance.random() * 0.01

    def before(self, place: Place, process: Process, name: str) -> None:
        """A call has been made and has not taken effect."""
        pause(self.latency())
        if not place.reached_by(process):
            pause(0.2)
            raise TransientStoreError(f"{place.name} does not answer")
        if self.storming and self.chance.random() < self.scene.error_rate:
            self.report.faults["error before a commit"] += 1
            raise TransientStoreError(f"{name} on {place.name} failed")

    async def look(
        self, place: Place, process: Process, method: Callable[..., Any], name: str, args: tuple[Any, ...]
    ) -> Any:
        """A call that changes nothing, at once after the time that it takes."""
        await asyncio.sleep(2 * self.latency())
        if not place.reached_by(process):
            await asyncio.sleep(0.2)
            raise TransientStoreError(f"{place.name} does not answer")
        if self.storming and self.chance.random() < self.scene.error_rate:
            self.report.faults["error of a look"] += 1
            raise TransientStoreError(f"{name} on {place.name} failed")
        self._trace.update(f"{self.loop.time():.6f} {process.name} {place.name} {name}\n".encode())
        return method(*args)

    def after(self, place: Place, process: Process, name: str, writes: bool) -> None:
        """It took effect; its answer is on its way."""
        self._trace.update(f"{self.loop.time():.6f} {process.name} {place.name} {name}\n".encode())
        if writes:
            self.report.commits += 1
            self.ledger.check()
        pause(self.latency())
        lost = self.storming and self.chance.random() < self.scene.error_rate
        if lost:
            self.report.faults["answer lost"] += 1
        if lost or not place.reached_by(process):
            raise TransientStoreError(f"the answer of {place.name} to {name} was lost", ambiguous=writes)

    # -- processes -------------------------------------------------------------------------------------

    def spawn(self) -> Node:
        """Start a process with its workers."""
        self._born += 1
        node = Node(self, f"process-{self._born}")
        self.nodes.append(node)
        node.starting = self.loop.create_task(self._start(node), context=node.context)
        return node

    async def _start(self, node: Node) -> None:
        while True:
            node.cluster = cluster = self._build(node)
            try:
                await cluster.start_async()
            except JobMasterError:
                # as under a supervisor
                await asyncio.sleep(0.5)
            else:
                return

    def _build(self, node: Node) -> Cluster:
        scene = self.scene
        config = (
            ClusterConfig("simulated")
            .lease(scene.lease)
            .grace_period(1)
            .max_losses(scene.max_losses)
            .transient_threshold(10)
            .data_retention(None)
            .add_handlers(Simulated)
        )
        for database in self.agents or [self.master]:
            for _ in range(scene.workers):
                config.add_worker(
                    database.name if self.agents else None, concurrency=scene.concurrency, batch_size=20
                )
        memory = DatabaseSettings("memory", "memory")
        settings, registry = config.prepare(memory, {a.name: memory for a in self.agents})
        clock = SystemClock()
        ahead = self.chance.uniform(0, 1e6)
        clock.monotonic = lambda: self.loop.time() + ahead
        # the host's own clock is off by hours, until a store has been asked
        clock._offset = (START.timestamp() - ahead) + self.chance.uniform(-7200, 7200)
        stores = self._stores(node, clock)
        cluster = Cluster(settings, registry, stores=stores)
        # the engine closes its stores from a thread of its own: there are none here
        cluster.close_async = lambda: drive(cluster.close)  # type: ignore[method-assign]
        backend = cluster._backend
        backend._lock = StoreLock()  # type: ignore[assignment]
        backend._opening = {name: StoreLock() for name in backend._opening}  # type: ignore[misc]
        return cluster

    def _stores(self, node: Node, clock: Any) -> Stores:
        home = self.places[self.master.name]
        master: Any = StoreView(self, home, node, MemoryMasterStore(self.master))
        schedules: Any = StoreView(self, home, node, MemoryScheduleStore(self.master))
        held = self._agent(node, self.master, MemorySettlement(self.master))
        agents = {
            store.name: self._agent(node, store, MemoryAgentSettlement(store, master))
            for store in self.agents
        }
        return Stores(master, held, schedules, agents, clock)

    def _agent(self, node: Process, store: MemoryDatabase, settlement: MemorySettlement) -> Agent:
        place = self.places[store.name]
        transport: Any = StoreView(self, place, node, MemoryTransport(store))
        view: Any = StoreView(self, place, node, settlement)
        reader: Any = StoreView(self, place, node, MemoryMasterStore(store))

        def follow(clock: Any) -> None:
            transport.now()

        return Agent(transport, view, reader, lambda wait: transport.now(), lambda: None, "memory", follow)

    @property
    def running(self) -> list[Node]:
        return [node for node in self.nodes if node.state is State.RUNNING]

    def living_workers(self) -> set[UUID]:
        """The ids of the workers of running processes."""
        return {
            worker.id
            for node in self.running
            if node.cluster is not None and node.cluster._runtime is not None
            for worker in node.cluster._runtime.workers
        }

    # -- producers -------------------------------------------------------------------------------------

    async def produce(self) -> None:
        """Enqueue all jobs over the time of the storm, some of them due later, some on the master."""
        scene, chance = self.scene, self.chance
        batches = scene.batches
        left = scene.jobs
        calls = []
        while left > 0:
            count = min(left, chance.randint(1, max(2, 2 * scene.jobs // batches)))
            left -= count
            producer = Process(f"producer-{self._numbers}")
            calls.append(
                self.loop.create_task(
                    self._enqueue([self._new_job() for _ in range(count)], producer), context=producer.context
                )
            )
            await asyncio.sleep(chance.expovariate(batches / scene.storm / 0.9))
        await asyncio.gather(*calls)

    def _new_job(self) -> NewJob:
        chance = self.chance
        number, self._numbers = self._numbers, self._numbers + 1
        failures = chance.choice(self.scene.failures)
        seconds = chance.choice([0.0, 0.01, chance.random() * 0.2, chance.random() * self.scene.longest_run])
        job = NewJob(
            ids.uuid7(),
            "simulated",
            json.dumps({"number": number}),
            priority=chance.randint(1, 5),
            delay=timedelta(seconds=chance.choice([0, 0, 0, chance.random() * 5])),
            max_retries=2,
        )
        self.ledger.plans[job.id] = Plan(number, seconds, failures)
        return job

    async def _enqueue(self, jobs: list[NewJob], producer: Process) -> None:
        """As a producer does: another store only if this one certainly has not taken them."""
        stores = [self.master, *self.agents] if self.agents else [self.master]
        targets = [
            StoreView(self, self.places[store.name], producer, MemoryTransport(store)) for store in stores
        ]
        while True:
            target = self.chance.choice(targets)
            while True:
                try:
                    await drive(target.enqueue, jobs)
                except TransientStoreError as fault:
                    if fault.ambiguous:
                        jobs = [job._replace(recheck=True) for job in jobs]
                    elif not jobs[0].recheck:
                        break
                else:
                    for job in jobs:
                        self.ledger.accept(job.id)
                    self.report.jobs += len(jobs)
                    return
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.1)

    # -- faults ----------------------------------------------------------------------------------------

    async def torment(self) -> None:
        """Break something at random intervals until the storm is over."""
        faults = [
            self._kill, self._kill, self._freeze, self._freeze, self._stop, self._server_away, self._cut,
            self._cancel,
        ]  # fmt: skip
        end = self.scene.storm
        mending: list[asyncio.Task[None]] = []
        while self.loop.time() < end:
            await asyncio.sleep(self.chance.expovariate(1 / self.scene.fault_every))
            mending.append(self.loop.create_task(self.chance.choice(faults)()))
        await asyncio.gather(*mending)
        self.storming = False

    def _victim(self) -> Node | None:
        running = self.running
        return self.chance.choice(running) if running else None

    async def _kill(self) -> None:
        victim = self._victim()
        if victim is not None:
            self.report.faults["killed"] += 1
            self.loop.kill(victim)
            await asyncio.sleep(self.chance.uniform(0.1, 2.0))
            self.spawn()

    async def _freeze(self) -> None:
        victim = self._victim()
        if victim is not None:
            self.report.faults["frozen"] += 1
            self.loop.freeze(victim)
            await asyncio.sleep(self.chance.uniform(0.1, 3.0) * self.scene.lease)
            self.loop.thaw(victim)

    async def _stop(self) -> None:
        victim = self._victim()
        cluster = None if victim is None else victim.cluster
        if victim is None or cluster is None or cluster._runtime is None or not self._has_started(victim):
            return
        self.report.faults["stopped"] += 1
        stopping = self.loop.create_task(cluster._runtime.stop(), context=victim.context)
        done, _ = await asyncio.wait([stopping], timeout=10)
        if done:
            stopping.result()
        # one that was frozen in the middle of it is killed after a while, as service managers do
        self.loop.kill(victim)
        self.spawn()

    def _has_started(self, node: Node) -> bool:
        return node.starting is not None and node.starting.done()

    async def _server_away(self) -> None:
        place = self.chance.choice(list(self.places.values()))
        if not place.away:
            self.report.faults[f"{'master' if place.name == 'master' else 'agent'} away"] += 1
            place.away = True
            await asyncio.sleep(self.chance.uniform(0.05, 2.0) * self.scene.lease)
            place.away = False

    async def _cut(self) -> None:
        victim, place = self._victim(), self.chance.choice(list(self.places.values()))
        if victim is not None:
            self.report.faults["cut off"] += 1
            place.cut_off.add(victim)
            await asyncio.sleep(self.chance.uniform(0.05, 2.0) * self.scene.lease)
            place.cut_off.discard(victim)

    async def _cancel(self) -> None:
        waiting = sorted(self.ledger.open)
        if not waiting:
            return
        job_id = self.chance.choice(waiting)
        store = self.chance.choice(self.agents or [self.master])
        view = StoreView(self, self.places[store.name], Process("caller"), MemorySettlement(store))
        self.ledger.cancelled.add(job_id)
        self.report.faults["cancelled"] += 1
        try:
            await drive(view.cancel, job_id, "simulated")
        except TransientStoreError:
            return

    # -- life ------------------------------------------------------------------------------------------

    async def run(self) -> Report:
        """Live through the storm, then until all is done; raises :class:`Violated`."""
        for _ in range(self.scene.processes):
            self.spawn()
        await asyncio.gather(self.loop.create_task(self.produce()), self.loop.create_task(self.torment()))
        if self.scene.watchers is not None:
            up = [node for node in self.running if node.cluster and node.cluster._runtime is not None]
            leaving = [node for node in up if self._has_started(node)][self.scene.watchers :]
            await asyncio.gather(*map(self._finish, leaving))
            for node in leaving:
                self.loop.kill(node)
        end = self.loop.time() + self.scene.patience
        while self.ledger.open and self.loop.time() < end and self.ledger.broken is None:
            await asyncio.sleep(1)
            self.ledger.look()
        # what was left behind is swept by then, and everything is told
        await asyncio.sleep(3 * self.scene.lease + 65)
        if self.ledger.broken is not None:
            raise self.ledger.broken
        self.ledger.check_end(self.living_workers())
        await asyncio.gather(*(self._finish(node) for node in self.running))
        report = self.report
        report.runs = self.ledger.started
        report.seconds = self.loop.time()
        report.trace = self._trace.hexdigest()
        finals = self.ledger.finals.values()
        report.lost = len([1 for final in finals if final.status and final.status.value == "failed"])
        for store in (self.master, *self.agents):
            if store.buckets:
                raise Violated(f"{store.name} has buckets after a clean stop: {store.buckets}")
        return report

    async def _finish(self, node: Node) -> None:
        cluster = node.cluster
        assert cluster is not None
        assert cluster._runtime is not None
        await self.loop.create_task(cluster._runtime.stop(), context=node.context)


class SeededIds:
    """Ids in virtual time from a seed."""

    def __init__(self, seed: int, loop: SimulatedLoop) -> None:
        self._draw = random.Random(f"ids {seed}").getrandbits
        self._loop = loop
        self._last = 0

    def next(self) -> UUID:
        at = int((START.timestamp() + self._loop.time()) * 1000) << 80
        self._last = max(self._last + 1, at)
        low = self._last & ((1 << 80) - 1) or self._draw(60) << 2
        self._last = (self._last >> 80 << 80) | low
        value = self._last & ~(0xF << 76) & ~(0x3 << 62)
        return UUID(int=value | 0x7 << 76 | 0x2 << 62)

    def numbers(self, count: int) -> list[int]:
        return [self.next().int for _ in range(count)]


async def _renew_in_loop(renewer: Renewer) -> None:
    """As the engine's own, but for the call, which may be held up like any other."""
    wait: float | None = renewer._interval
    while wait is not None and not renewer._closed.is_set():
        await renewer._clock.sleep(wait)
        wait = await drive(renewer._beat)


@contextmanager
def _seeded(seed: int, loop: SimulatedLoop) -> Iterator[None]:
    state = random.getstate()
    kept = ids._sequence, runtime_module.InlineStoreThreads, Renewer._run_in_loop
    levels = logging.root.manager.disable
    random.seed(f"engine {seed}")
    ids._sequence = SeededIds(seed, loop)  # type: ignore[assignment]
    runtime_module.InlineStoreThreads = Calls  # type: ignore[misc, assignment]
    Renewer._run_in_loop = _renew_in_loop  # type: ignore[method-assign]
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(levels)
        ids._sequence, runtime_module.InlineStoreThreads, Renewer._run_in_loop = kept  # type: ignore[misc, method-assign]
        random.setstate(state)


def simulate(seed: int, scene: Scene = Scene()) -> Report:
    """Run one simulation; raises :class:`Violated` with the seed in its text when something does not hold."""
    loop = SimulatedLoop()
    asyncio.set_event_loop(loop)
    try:
        with _seeded(seed, loop):
            world = World(seed, scene, loop)
            try:
                report = loop.run_until_complete(world.run())
                if loop.failures:
                    raise Violated(f"the event loop was told of {loop.failures}")
            except Violated as fault:
                raise Violated(f"seed {seed}, {scene}: {fault}") from None
            finally:
                for node in world.nodes:
                    loop.bury(node)
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return report
