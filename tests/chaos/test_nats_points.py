"""On a NATS agent every write has a fault point, and a process may die at any of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobmaster.agents.nats.options import NatsOptions
from jobmaster.agents.nats.reader import NatsJobReader
from jobmaster.agents.nats.settlement import NatsSettlement
from jobmaster.agents.nats.store import FaultPoints, NatsStore
from jobmaster.agents.nats.transport import NatsTransport
from jobmaster.agents.nats.waiting import find
from jobmaster.agents.same_database import SameDatabaseSettlement
from jobmaster.agents.sql import SqlTransport
from jobmaster.domain.ids import uuid7
from jobmaster.domain.job import ClaimedJob, JobFilter
from jobmaster.domain.status import BucketStatus, JobStatus
from jobmaster.engine.clock import SystemClock
from jobmaster.master.sql import SqlMasterStore
from jobmaster.ports import BucketInfo, RunningMark, TakeRequest
from jobmaster.sql import open_database
from jobmaster.testing.conformance import Parties, Stores
from tests.harness import points
from tests.leftovers import until_empty

pytestmark = [pytest.mark.nats, pytest.mark.sqlite]
LOGGER = logging.getLogger("points")
LEASE = timedelta(seconds=1)
NEVER = datetime(2000, 1, 1, tzinfo=UTC)


@contextmanager
def opened(url: str, directory: Path, name: str, faults: FaultPoints | None) -> Iterator[Parties]:
    """A master and a NATS agent as one process has them."""
    home = open_database(f"sqlite:///{directory / name}.db", cluster_id=name, role="master")
    store = NatsStore(
        "agent", name, "jm_", NatsOptions(url), LEASE, 5.0, SystemClock(), LOGGER, faults=faults
    )
    master = SqlMasterStore(home)
    agent = Stores(NatsTransport(store), NatsSettlement(store, master, lambda: 5, LOGGER), master)
    parties = Parties(master, SqlTransport(home), SameDatabaseSettlement(home), agent, NatsJobReader(store))
    parties.open()
    try:
        yield parties
    finally:
        parties.close()


class Visitor:
    """Notes which points are passed, and what is written while no write that has a name is under way."""

    def __init__(self) -> None:
        self.visited: set[str] = set()
        self.unnamed: list[str] = []
        self._under_way: list[str] = []

    def reach(self, name: str) -> None:
        self.visited.add(name)
        write, _, when = name.rpartition(".")
        if write in points.STEPS:
            if not self._under_way and when == "before_commit":
                self.unnamed.append(name)
        elif when == "before_commit":
            self._under_way.append(write)
        else:
            self._under_way.remove(write)

    @property
    def writes(self) -> set[str]:
        """The writes of which both points were passed."""
        names = {name.rpartition(".")[0] for name in self.visited}
        return {n for n in names if {f"{n}.before_commit", f"{n}.after_commit"} <= self.visited}


def test_every_write_is_visited_and_none_is_without_a_name(nats_url: str, tmp_path: Path) -> None:
    """A new write that is inside none with a name is found here; one with a new name is not on the list."""
    visitor = Visitor()
    with opened(nats_url, tmp_path, "visited", visitor) as parties:
        transport, settlement = parties.transport, parties.agent.settlement
        visitor.unnamed.clear()  # the stamp of a new store
        parties.agent.enqueue(5)
        holder = parties.agent.holder()
        first, second, third, fourth, fifth = holder.claim()
        transport.mark([RunningMark(first.id, first.bucket_id, first.claim_no, transport.now())])
        transport.renew(holder.id, list(holder.buckets.values()), timedelta(minutes=1))
        holder.settle(holder.succeeded(first), holder.failed(second), holder.failed(third, timedelta(0)))
        settlement.cancel(fourth.id, "points")
        holder.settle(holder.failed(fourth, timedelta(0)), holder.handed_back(fifth))
        # what was asked for is met when its job has left by another way
        waiting, far = parties.agent.enqueue(2, lane="quiet")
        settlement.cancel(waiting, "points")
        settlement.reschedule(far, transport.now() + timedelta(seconds=1))
        parties.agent.enqueue(lane="far", delay=timedelta(hours=1))
        assert parties.agent.holder("far").claim() == []
        parties.save()
        parties.ship()
        # lost, and rescued; dropped, since another message stands in its place
        (lost, *_) = holder.claim()
        claims = _claims(parties)
        delivered = claims[lost.id]
        transport.complete_buckets(holder.id)
        holder.expire()
        settlement.rescue(5)
        settlement._rescue_delivered([delivered])  # type: ignore[attr-defined]
        settlement.rescue(5)
        # from the master and back
        parties.hold(2, lane="held")
        parties.onboard("held")
        bucket, copies = parties.take(TakeRequest(lane="held"))
        parties.master.take_back(transport.key, copies)
        transport.let_go(bucket)
        # a request that nobody meets is forgotten when its job is gone
        asking = parties.agent.holder()
        claimed = asking.claim()
        settlement.cancel(claimed[0].id, "points")
        asking.settle(*map(asking.succeeded, claimed))
        settlement.rescue(5)
        # what was pulled and not claimed goes back with the last worker of the lane
        parties.agent.enqueue(2, lane="kept", delay=timedelta(seconds=1))
        kept = parties.agent.holder("kept")
        assert kept.claim() == []
        transport.close_buckets(list(kept.buckets.values()))
        transport.close_buckets(list(asking.buckets.values()))
        # what was acknowledged and is still there
        (stuck,) = parties.agent.enqueue(lane="stuck")
        session = settlement._store._session  # type: ignore[attr-defined]
        there = transport._store.call(lambda _: find(session, stuck))  # type: ignore[attr-defined]
        clearing = settlement._stranded.clear  # type: ignore[attr-defined]
        transport._store.call(lambda _: clearing(session, [there], ()))  # type: ignore[attr-defined]
    assert visitor.unnamed == []
    assert points.NATS - visitor.writes == set()
    assert visitor.writes == points.NATS | points.STEPS


def _claims(parties: Parties) -> dict[object, object]:
    session = parties.agent.settlement._store._session  # type: ignore[attr-defined]
    found: dict[object, object] = session.claims.stays[-1].claims
    for stay in session.claims.stays:
        if stay.claims:
            found = stay.claims
    return found


def test_what_is_delivered_once_more_is_charged_before_it_runs(nats_url: str, tmp_path: Path) -> None:
    with opened(nats_url, tmp_path, "charged", None) as doomed:
        doomed.agent.enqueue()
        assert len(doomed.agent.holder(lease=LEASE).claim()) == 1
    with opened(nats_url, tmp_path, "charged", None) as heirs:
        holder = heirs.agent.holder()
        claimed: list[ClaimedJob] = []

        def nothing_yet() -> list[str]:
            claimed.extend(holder.claim())
            return [] if claimed else ["nothing was delivered"]

        assert until_empty(nothing_yet) == []
        assert [(job.losses, job.attempt, job.claim_no) for job in claimed] == [(1, 1, 2)]


class Died(BaseException):
    """The process is no more; nothing that it had begun goes on."""


class Death:
    """Ends a process at the ``number``-th write after it was armed; 0: never, and counts them."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.passed = 0
        self._lock = threading.Lock()

    def reach(self, name: str) -> None:
        if name.partition(".")[0] not in points.STEPS or self.number is None:
            return
        with self._lock:
            if name.endswith("before_commit"):
                self.passed += 1
            if 0 < self.number <= self.passed:
                raise Died(name)


def _settle(parties: Parties) -> None:
    holder = parties.agent.holder(lease=LEASE)
    first, second, *others = holder.claim()
    _arm(parties)
    changes = [holder.failed(first, timedelta(0)), holder.handed_back(second)]
    holder.settle(*changes, *map(holder.succeeded, others))


def _rescue(parties: Parties) -> None:
    holder = parties.agent.holder()
    holder.claim()
    holder.expire()
    _arm(parties)
    parties.agent.settlement.rescue(5)
    parties.agent.settlement.rescue(5)


def _move(parties: Parties) -> None:
    _arm(parties)
    bucket = BucketInfo(uuid7(), uuid7(), "mover", "default", 3, BucketStatus.ACTIVE, NEVER, "agent")
    copies = parties.transport.take(bucket, LEASE, TakeRequest())
    parties.master.take_back(parties.transport.key, copies)
    parties.transport.let_go(bucket.id)


def _receive(parties: Parties) -> None:
    parties.hold(2)
    _arm(parties)
    parties.onboard()


def _stop(parties: Parties) -> None:
    holder = parties.agent.holder(lease=LEASE)
    holder.claim()
    _arm(parties)
    parties.transport.complete_buckets(holder.id)
    parties.transport.close_buckets(list(holder.buckets.values()))


def _ship(parties: Parties) -> None:
    parties.run()
    _arm(parties)
    parties.ship()


def _arm(parties: Parties) -> None:
    death = parties.agent.settlement._store.faults  # type: ignore[attr-defined]
    death.number = death.wanted


OPERATIONS = {
    "settle": _settle,
    "rescue": _rescue,
    "move": _move,
    "receive": _receive,
    "stop": _stop,
    "ship": _ship,
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_process_that_dies_at_any_write_loses_nothing(
    nats_url: str, tmp_path: Path, operation: str
) -> None:
    """The whole operation is walked through: death at its first write, at its second, and so on."""
    work = OPERATIONS[operation]
    writes = _walk(nats_url, tmp_path, work, 0)
    assert writes > 0
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: _walk(nats_url, tmp_path, work, number), range(1, writes + 1)))


def _walk(url: str, directory: Path, work: Callable[[Parties], None], number: int) -> int:
    """Do it, die at that write, and let another process go on; how many writes there were."""
    death = Death()
    death.wanted = number  # type: ignore[attr-defined]
    name = f"walk{uuid7().hex[-12:]}"
    held = 2 if work is _receive else 0
    with opened(url, directory, name, death) as doomed:
        doomed.agent.enqueue(4)
        with suppress(Died):
            work(doomed)
        writes = death.passed
        # even in the end it writes nothing more
        death.number, death.passed = 1 if number else None, 1
    with opened(url, directory, name, None) as heirs:
        end = time.monotonic() + 30
        while (
            heirs.master.count_jobs(JobFilter(status=(JobStatus.SUCCEEDED,))) < 4 + held
            or heirs.reader.count_jobs(JobFilter())
            or heirs.transport.buckets()
        ):
            assert time.monotonic() < end, f"write {number}: {_state(heirs)}"
            heirs.agent.settlement.rescue(5)
            for placement in heirs.master.unconfirmed(10):
                copies = heirs.master.repeat(placement.agent, placement.copies)
                heirs.transport.receive(copies)
                heirs.master.confirm(placement.agent, [copy.id for copy in copies])
            heirs.onboard()
            heirs.run()
            heirs.ship()
        assert heirs.master.count_jobs(JobFilter()) == 4 + held
    return writes


def _state(parties: Parties) -> str:
    known = [(str(job.id)[-4:], job.status.value) for job in parties.master.find_jobs(JobFilter(), 10, None)]
    there = [(str(job.id)[-4:], job.status.value) for job in parties.reader.find_jobs(JobFilter(), 10, None)]
    return f"on the master {known}, on the agent {there}"
