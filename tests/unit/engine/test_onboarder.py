"""The onboarder on stores in memory, one of which does not answer."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from jobmaster.domain.copies import JobCopy
from jobmaster.domain.retry import Retry
from jobmaster.domain.status import ClusterMode, WorkerMode
from jobmaster.engine.onboarder import Onboarder
from jobmaster.engine.options import ClusterLimits
from jobmaster.engine.roster import Roster
from jobmaster.engine.storethreads import StoreThreads
from jobmaster.errors import TransientStoreError
from jobmaster.ports import WorkerInfo
from jobmaster.testing import FakeClock
from jobmaster.testing.conformance.stores import new_job
from jobmaster.testing.memory import MemoryDatabase, MemoryMasterStore, MemorySettlement, MemoryTransport

NOW = datetime(2026, 1, 1, tzinfo=UTC)
THRESHOLD = timedelta(minutes=10)


class SlowTransport(MemoryTransport):
    """Keeps whoever brings it jobs waiting, and then says what it was told to say."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.asked = threading.Event()
        self.answer = threading.Event()
        self.says: Exception | None = None

    def receive(self, copies: Sequence[JobCopy]) -> None:
        self.asked.set()
        assert self.answer.wait(20)
        if self.says is not None:
            raise self.says
        super().receive(copies)


class Site:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.master_database = MemoryDatabase(self.clock)
        self.master = MemoryMasterStore(self.master_database)
        self.slow = SlowTransport(MemoryDatabase(self.clock, name="slow"))
        self.quick = MemoryTransport(MemoryDatabase(self.clock, name="quick"))
        agents = {"slow": self.slow, "quick": self.quick}
        for agent in agents.values():
            self.master.register_agent(agent.key)
        self.roster = Roster(agents, self.clock)
        workers = [
            WorkerInfo(uuid4(), "w", name, lane, WorkerMode.FULL, "host", 1, NOW, NOW, 20)
            for name, lane in [*((name, "default") for name in agents), ("quick", "aaa"), ("quick", "zzz")]
        ]
        self.roster.take(workers, self.master.agents())
        self.calls = StoreThreads(4, "test")
        self.onboarder = Onboarder(
            agents,
            self.master,
            self.roster,
            ClusterLimits(ClusterMode.ACTIVE, timedelta(minutes=5), 3, Retry.none(), 5, None, None),
            THRESHOLD,
            self.calls,
            self.clock,
            logging.getLogger("tests"),
        )

    def hold(self, count: int, lane: str = "default") -> list[UUID]:
        jobs = [new_job(lane=lane) for _ in range(count)]
        MemorySettlement(self.master_database).enqueue_keyed(jobs, "return")
        return [job.id for job in jobs]

    def placed(self, transport: MemoryTransport) -> set[UUID]:
        return set(transport._database.live)


@pytest.fixture
def site() -> Site:
    return Site()


async def finished(site: Site) -> None:
    async with asyncio.timeout(10):
        while site.onboarder._delivering:
            await asyncio.sleep(0.001)


async def test_a_silent_agent_keeps_only_its_own_jobs_waiting(site: Site) -> None:
    first = site.hold(10)
    await site.onboarder.tick()
    assert await asyncio.to_thread(site.slow.asked.wait, 10)
    async with asyncio.timeout(10):
        while not site.placed(site.quick):
            await asyncio.sleep(0.001)
    later = site.hold(10)
    await site.onboarder.tick()
    async with asyncio.timeout(10):
        while not set(later) <= site.placed(site.quick):
            await asyncio.sleep(0.001)
    assert site.placed(site.slow) == set()
    site.slow.answer.set()
    await finished(site)
    assert site.placed(site.slow) | site.placed(site.quick) == set(first) | set(later)
    assert site.master.unconfirmed(100) == []
    site.calls.close()


async def test_what_an_agent_certainly_did_not_take_is_held_again(site: Site) -> None:
    jobs = site.hold(10)
    site.slow.says = TransientStoreError("no answer")
    site.slow.answer.set()
    await site.onboarder.tick()
    await finished(site)
    assert site.roster.is_down("slow")
    await site.onboarder.tick()
    await finished(site)
    assert site.placed(site.quick) == set(jobs)
    site.calls.close()


async def test_a_stop_waits_for_no_silent_agent_and_its_jobs_stay_unconfirmed(site: Site) -> None:
    site.hold(10)
    await site.onboarder.tick()
    assert await asyncio.to_thread(site.slow.asked.wait, 10)
    async with asyncio.timeout(5):
        await site.onboarder.stop()
    assert {placement.agent.name for placement in site.master.unconfirmed(100)} >= {"slow"}
    site.slow.answer.set()
    site.calls.close()


async def test_a_long_queue_on_one_lane_does_not_keep_another_waiting(site: Site) -> None:
    many, (one,) = site.hold(5_000, "aaa"), site.hold(1, "zzz")
    async with asyncio.timeout(20):
        while one not in site.placed(site.quick):
            await site.onboarder.tick()
    assert len(site.placed(site.quick)) < 5_001
    async with asyncio.timeout(20):
        while not {*many, one} <= site.placed(site.quick):
            await site.onboarder.tick()
            await asyncio.sleep(0)
    await finished(site)
    site.calls.close()
