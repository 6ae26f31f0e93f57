"""The tracer on stores in memory: what it takes for lost, and what not."""

from __future__ import annotations

import logging
from uuid import UUID

import pytest

from jobmaster.domain.copies import JobCopy
from jobmaster.engine import tracer as tracer_module
from jobmaster.engine.roster import Roster
from jobmaster.engine.storethreads import StoreThreads
from jobmaster.engine.tracer import Tracer
from jobmaster.errors import TransientStoreError
from jobmaster.testing import FakeClock
from jobmaster.testing.conformance.stores import new_job
from jobmaster.testing.memory import MemoryDatabase, MemoryMasterStore, MemoryTransport


class Site:
    """A master, and an agent with jobs that the master knows."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.master = MemoryMasterStore(MemoryDatabase(self.clock, role="master"))
        self.database = MemoryDatabase(self.clock, name="hot", role="agent")
        self.agent = MemoryTransport(self.database)
        self.master.register_agent(self.agent.key)
        self.roster = Roster(["hot"], self.clock)
        self.calls = StoreThreads(2, "test")
        self.tracer = Tracer(
            {"hot": self.agent},
            self.master,
            self.roster,
            self.calls,
            self.clock,
            logging.getLogger("tests"),
        )

    def mirror(self, count: int) -> list[UUID]:
        jobs = [new_job() for _ in range(count)]
        self.agent.enqueue(jobs)
        copies: list[JobCopy] = []
        self.agent.save(self.clock.now() - self.clock.now(), count, copies.extend, lambda gone: None)
        self.master.mirror(self.agent.key, copies)
        return sorted(job.id for job in jobs)

    @property
    def doubted(self) -> set[UUID]:
        return {copy.id for placement in self.master.unconfirmed(1000) for copy in placement.copies}


async def test_what_is_missing_twice_is_placed_again(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    first, second, third = site.mirror(3)
    await site.tracer.tick()
    assert site.doubted == set()
    row = site.database.live.pop(first)
    del site.database.live[second]
    await site.tracer.tick()
    # one look is not enough: it may be on its way
    assert site.doubted == set()
    site.database.live[first] = row
    del site.database.live[third]
    await site.tracer.tick()
    assert site.doubted == {second}
    assert "agent 'hot' has lost 1 jobs" in caplog.text
    await site.tracer.tick()
    await site.tracer.tick()
    assert site.doubted == {second, third}
    site.calls.close()


async def test_pages_are_looked_at_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracer_module, "_PAGE", 2)
    site = Site()
    ids = site.mirror(5)
    for job_id in (ids[0], ids[4]):
        del site.database.live[job_id]
    # the first page twice, the second once, the third twice
    for seen in (set(), {ids[0]}, {ids[0]}, {ids[0]}, {ids[0], ids[4]}):
        await site.tracer.tick()
        assert site.doubted == seen
    # and from the beginning again
    del site.database.live[ids[1]]
    await site.tracer.tick()
    await site.tracer.tick()
    assert site.doubted == {ids[0], ids[1], ids[4]}
    site.calls.close()


async def test_what_has_ended_on_the_agent_is_not_lost() -> None:
    site = Site()
    (job_id,) = site.mirror(1)
    site.database.end(site.database.live[job_id], status=None, finished_at=site.clock.now())  # type: ignore[arg-type]
    for _ in range(3):
        await site.tracer.tick()
    assert site.doubted == set()
    site.calls.close()


async def test_an_agent_that_does_not_answer_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    (job_id,) = site.mirror(1)
    del site.database.live[job_id]
    await site.tracer.tick()

    def fail(mirrors: object) -> frozenset[UUID]:
        raise TransientStoreError("away")

    with monkeypatch.context() as away:
        away.setattr(site.agent, "absent", fail)
        await site.tracer.tick()
    assert site.doubted == set()
    await site.tracer.tick()
    assert site.doubted == {job_id}
    site.calls.close()
