"""The suites on a NATS agent with a master in SQLite, on the newest and the oldest server."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from jobmaster.agents.nats.acknowledging import Acknowledging
from jobmaster.agents.nats.claiming import Harvest, harvest
from jobmaster.agents.nats.claims import Intake
from jobmaster.agents.nats.link import Link
from jobmaster.agents.nats.options import NatsOptions
from jobmaster.agents.nats.outbox import Outbox
from jobmaster.agents.nats.puller import Puller
from jobmaster.agents.nats.reader import NatsJobReader, _Whereabouts
from jobmaster.agents.nats.settlement import NatsSettlement
from jobmaster.agents.nats.store import NatsStore, Session
from jobmaster.agents.nats.transport import NatsTransport
from jobmaster.agents.same_database import SameDatabaseSettlement
from jobmaster.agents.sql import SqlTransport
from jobmaster.domain.copies import JobCopy, Shipment
from jobmaster.domain.ids import uuid7
from jobmaster.domain.job import Attempt, Job, JobFilter
from jobmaster.domain.status import JobStatus
from jobmaster.engine.clock import SystemClock
from jobmaster.errors import StoreError, TransientStoreError
from jobmaster.master.sql import SqlMasterStore
from jobmaster.ports import Rescue
from jobmaster.ports.transport import ClaimRequest
from jobmaster.sql import open_database
from jobmaster.sql.database import Database
from jobmaster.testing.conformance import AgentTransportConformance, ClusterConformance, Parties, Stores
from jobmaster.testing.conformance.claiming import ClaimConformance
from jobmaster.testing.conformance.rescue import RescueConformance
from jobmaster.testing.conformance.settling import SettleConformance
from jobmaster.testing.conformance.stores import LEASE, Holder
from tests.leftovers import until_empty

pytestmark = [pytest.mark.nats, pytest.mark.sqlite]
LOGGER = logging.getLogger("conformance")
_LIVE = tuple(status for status in JobStatus if not status.is_final)
ELSEWHERE = None
"""In place of a test of what a NATS agent leaves to the master, or does not promise; each says which."""


class WholeMaster(SqlMasterStore):
    """A master that knows what the agent knows, as the library shows both to its users."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.reader: NatsJobReader

    def get_job(self, job_id: UUID) -> Job | None:
        return _ready(self.reader.get_job(job_id)) or super().get_job(job_id)

    def attempts(self, job_id: UUID) -> list[Attempt]:
        return self.reader.attempts(job_id) or super().attempts(job_id)


class ShownTransport(NatsTransport):
    """Shows what waits as the suite knows it."""

    def find_live(self, job_id: UUID) -> Job | None:
        return _ready(super().find_live(job_id))


def _ready(job: Job | None) -> Job | None:
    """A job that the master does not know yet is ready all the same."""
    if job is None or job.status is not JobStatus.SAVE_PENDING:
        return job
    return replace(job, status=JobStatus.READY)


@pytest.fixture
def home(sqlite_url: str) -> Database:
    """The master's database."""
    return open_database(sqlite_url, cluster_id="conformance", role="master")


def _store(url: str) -> NatsStore:
    options = NatsOptions(url)
    return NatsStore("agent", "conformance", "jm_", options, LEASE, 10.0, SystemClock(), LOGGER)


@pytest.fixture
def parties(nats_url: str, home: Database) -> Iterator[Parties]:
    """A master and a NATS agent."""
    master, store = SqlMasterStore(home), _store(nats_url)
    agent = Stores(NatsTransport(store), NatsSettlement(store, master, lambda: 5, LOGGER), master)
    parties = Parties(master, SqlTransport(home), SameDatabaseSettlement(home), agent, NatsJobReader(store))
    parties.open()
    yield parties
    parties.close()


@pytest.fixture
def stores(nats_url: str, home: Database) -> Iterator[Stores]:
    """The agent, seen together with its master."""
    master, store = WholeMaster(home), _store(nats_url)
    master.reader = NatsJobReader(store)
    stores = Stores(ShownTransport(store), NatsSettlement(store, master, lambda: 5, LOGGER), master)
    stores.open()
    yield stores
    stores.close()


class TestCluster(ClusterConformance):
    """A master and an agent."""

    KEEPS_FAR_JOBS = False
    RESCUE_ASKS_THE_MASTER = True


class TestTransport(AgentTransportConformance):
    """The agent."""

    # what is due when is known of what was delivered here only; the rest is found by claiming
    test_next_due_is_the_earliest_waiting_job = ELSEWHERE

    def test_next_due_tells_of_what_is_kept_here(self, stores: Stores) -> None:
        now = stores.transport.now()
        stores.enqueue(run_at=now + timedelta(seconds=1.5))
        holder = stores.holder()
        assert holder.claim() == []
        answer = stores.transport.next_due("default")
        assert answer is not None
        assert answer[1] == now + timedelta(seconds=1.5)

    def test_a_retry_is_here_before_it_is_due(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        listener = stores.transport.listen(lambda lane: None)
        holder = stores.holder()
        (job,) = holder.claim()
        assert holder.claim() == []
        before = stores.transport.now()
        holder.settle(holder.failed(job, timedelta(seconds=0.8)))
        assert holder.claim() == []
        answer = stores.transport.next_due("default")
        assert answer is not None
        assert timedelta(0) <= answer[1] - before - timedelta(seconds=0.8) < timedelta(seconds=0.8)
        assert until_empty(lambda: [] if holder.claim() else [f"{job_id} was not claimed yet"]) == []
        listener.close()


class TestClaims(ClaimConformance):
    """Claims."""

    # a stream gives in the order in which jobs came; due time and cursor mean nothing to it
    test_claims_come_by_priority_then_due_time_then_id = ELSEWHERE
    test_the_cursor_skips_what_came_before = ELSEWHERE

    def test_claims_come_by_priority_then_in_the_order_of_arrival(self, stores: Stores) -> None:
        ids = {priority: stores.enqueue(3, priority=priority) for priority in (3, 5, 1)}
        claimed = stores.holder().claim()
        assert [job.id for job in claimed] == [*ids[5], *ids[3], *ids[1]]

    def test_what_one_part_of_a_claim_brought_is_kept_when_another_fails(
        self, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = {priority: stores.enqueue(1, priority=priority) for priority in (5, 3)}
        holder, pull = stores.holder(), Intake.pull

        async def failing(intake: Intake, most: int) -> int:
            if intake.priority == 5:
                raise TransientStoreError("cut")
            return await pull(intake, most)

        with monkeypatch.context() as patch:
            patch.setattr(Intake, "pull", failing)
            with pytest.raises(TransientStoreError, match="cut"):
                holder.claim()
        claimed = holder.claim()
        assert [(job.id, job.losses) for job in claimed] == [(ids[5][0], 0), (ids[3][0], 0)]

    def test_a_job_due_far_ahead_goes_to_the_master(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue(delay=timedelta(hours=1))
        assert stores.holder().claim() == []
        job = stores.job(job_id)
        assert (job.status, job.failures) == (JobStatus.READY, 0)
        assert stores.transport.unshipped()[0] == 1
        stores.transport.ship(10, lambda shipment: _record(stores, shipment))
        assert stores.job(job_id).status is JobStatus.HELD_ON_MASTER
        assert stores.transport.find_live(job_id) is None


def _record(stores: Stores, shipment: Shipment) -> None:
    stores.master.record(stores.transport.key, shipment)


class TestSettling(SettleConformance):
    """Settling."""

    # what waits for an hour waits on the master, and what has ended is revived there
    test_a_retry_waits_for_its_delay = ELSEWHERE
    test_reschedule_moves_waiting_jobs_only = ELSEWHERE
    test_revive_makes_a_finished_job_live_again = ELSEWHERE
    # the server knows the id again, so the second job of that id is never stored
    test_the_first_end_of_a_job_stays = ELSEWHERE

    def test_a_retry_far_ahead_waits_on_the_master(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue(data='{"n": 1}')
        holder = stores.holder()
        (claimed,) = holder.claim()
        settled = holder.settle(holder.failed(claimed, timedelta(hours=1)))
        assert not settled.refused
        assert stores.job(job_id).status is JobStatus.RETRYING
        assert holder.claim() == []
        stores.transport.ship(10, lambda shipment: _record(stores, shipment))
        job = stores.job(job_id)
        assert job.status is JobStatus.HELD_ON_MASTER
        assert (job.attempt, job.failures, job.data) == (1, 1, {"n": 1})
        assert abs(job.scheduled_at - settled.now - timedelta(hours=1)) < timedelta(seconds=5)
        # told once more, the master does not take it away from where it went since
        assert stores.master.place("default", timedelta(hours=2), 10, {stores.transport.key: 1.0})

    def test_a_waiting_job_is_rescheduled_here_or_to_the_master(self, stores: Stores) -> None:
        (near, far) = stores.enqueue(2)
        soon = stores.transport.now() + timedelta(seconds=1)
        assert stores.settlement.reschedule(near, soon)
        assert stores.job(near).scheduled_at == soon
        later = stores.transport.now() + timedelta(hours=1)
        assert stores.settlement.reschedule(far, later)
        job = stores.job(far)
        assert (job.status, job.scheduled_at) == (JobStatus.HELD_ON_MASTER, later)
        assert not stores.settlement.reschedule(far, later)
        assert not stores.settlement.reschedule(uuid7(), later)

    def test_a_claimed_job_is_not_rescheduled(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        holder = stores.holder()
        (claimed,) = holder.claim()
        for ahead in (timedelta(0), timedelta(hours=1)):
            assert not stores.settlement.reschedule(job_id, stores.transport.now() + ahead)
        assert not holder.settle(holder.succeeded(claimed)).refused
        assert stores.job(job_id).status is JobStatus.SUCCEEDED


class TestRescue(RescueConformance):
    """Rescue."""


class TestLookingAround:
    """What is pulled, and what is seen after a settle."""

    def test_a_claim_asks_only_where_a_wake_up_said_that_there_is_something(
        self, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        pull = Puller.pull

        async def noted(puller: Puller, most: int) -> int:
            asked.append(puller.name)
            return await pull(puller, most)

        monkeypatch.setattr(Puller, "pull", noted)
        listener = stores.transport.listen(lambda lane: None)
        holder = stores.holder()
        assert holder.claim() == []
        assert len(asked) == 5
        asked.clear()
        (job_id,) = stores.enqueue(priority=3)
        assert [job.id for job in holder.claim()] == [job_id]
        assert asked == ["default-3"]
        listener.close()

    def test_what_no_wake_up_told_of_is_found_all_the_same(
        self, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def unheard(session: Session, lane: str, priorities: Collection[int] = ()) -> None:
            """Say nothing."""

        listener = stores.transport.listen(lambda lane: None)
        holder = stores.holder()
        assert holder.claim() == []
        monkeypatch.setattr(Session, "wake", unheard)
        (job_id,) = stores.enqueue()
        found: list[UUID] = []

        def claimed() -> list[str]:
            found.extend(job.id for job in holder.claim())
            return [] if found else ["nothing claimed yet"]

        assert until_empty(claimed) == []
        assert found == [job_id]
        listener.close()

    def test_what_was_settled_is_gone_for_whoever_looks(
        self, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ask = Link.ask

        async def slowly(link: Link, subject: str, body: bytes, timeout: float, **options: bool) -> bytes:
            if body == b"+ACK":
                await asyncio.sleep(0.2)  # the answer that is looked for before it came
            return await ask(link, subject, body, timeout, **options)

        (job_id,) = stores.enqueue()
        holder = stores.holder()
        (claimed,) = holder.claim()
        monkeypatch.setattr(Link, "ask", slowly)
        assert not holder.settle(holder.succeeded(claimed)).refused
        assert stores.transport.find_live(job_id) is None

    def test_outcomes_of_many_settles_are_shipped_together(self, stores: Stores) -> None:
        stores.enqueue(30)
        holder = stores.holder()
        for claimed in holder.claim():
            assert not holder.settle(holder.succeeded(claimed)).refused
        told: list[int] = []

        def deliver(shipment: Shipment) -> None:
            told.append(len(shipment.ended))
            _record(stores, shipment)

        shipped = [stores.transport.ship(20, deliver) for _ in range(3)]
        assert (shipped, told) == ([20, 10, 0], [20, 10])
        assert stores.transport.unshipped() == (0, 0)

    def test_what_the_master_did_not_take_is_shipped_again(self, stores: Stores) -> None:
        stores.enqueue(30)
        holder = stores.holder()
        for claimed in holder.claim():
            assert not holder.settle(holder.succeeded(claimed)).refused

        def refuse(shipment: Shipment) -> None:
            raise TransientStoreError("away")

        for _ in range(2):
            with pytest.raises(TransientStoreError):
                stores.transport.ship(20, refuse)
        told: list[UUID] = []
        while stores.transport.ship(20, lambda shipment: told.extend(job.id for job in shipment.ended)):
            continue
        assert len(told) == len(set(told)) == 30

    def test_a_lost_message_that_was_delivered_twice_more_is_one_loss(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        holder = stores.holder()
        assert len(holder.claim()) == 1
        settlement = stores.settlement
        assert isinstance(settlement, NatsSettlement)
        session = settlement._store._session
        assert session is not None
        delivered = session.claims.stays[-1].claims[job_id]
        settlement._rescue_delivered([delivered, delivered])
        job = stores.transport.find_live(job_id)
        assert job is not None
        assert (job.attempt, job.losses) == (1, 1)

    def test_what_was_claimed_beside_a_rescue_that_is_refused_reaches_the_engine(
        self, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settlement = stores.settlement
        assert isinstance(settlement, NatsSettlement)

        async def with_a_loss(session: Session, claim: ClaimRequest, asked: Collection[int] = ()) -> Harvest:
            found = await harvest(session, claim, asked)
            found.lost = list(session.claims.stays[-1].claims.values())
            return found

        def refuse(*_: object) -> frozenset[UUID]:
            raise StoreError("refused")

        monkeypatch.setattr("jobmaster.agents.nats.settlement.harvest", with_a_loss)
        monkeypatch.setattr(settlement._master, "overtake", refuse)
        (job_id,) = stores.enqueue()
        assert [job.id for job in stores.holder().claim()] == [job_id]

    def test_what_an_agent_tells_twice_at_a_time_counts_once(self, stores: Stores) -> None:
        """The answer to a settle was lost and it was stored again: both are in one shipment."""
        stores.enqueue(2)
        holder = stores.holder()
        done, failed = holder.claim()
        session = _session(stores)
        ends = [session.claims.stays[-1].claims[done.id].ended(holder.succeeded(done), NOW) for _ in range(2)]
        waits = [_claimed_copy(session, failed.id, claim_no) for claim_no in (1, 2)]
        key, master = stores.transport.key, stores.master
        assert not master.record(key, Shipment(ends, [], waits))
        assert not master.record(key, Shipment(ends, [], waits))
        found = [super(WholeMaster, master).get_job(job.id) for job in (done, failed)]
        assert [job and job.status for job in found] == [JobStatus.SUCCEEDED, JobStatus.HELD_ON_MASTER]
        (job_id,) = stores.enqueue()
        assert [job.id for job in holder.claim()] == [job_id]
        copies = [_claimed_copy(session, job_id, claim_no) for claim_no in (0, 1)]
        master.mirror(key, copies)
        assert not master.overtake(key, copies)

    def test_the_master_is_told_less_while_a_backlog_is_emptied(
        self, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("jobmaster.agents.nats.moves._MUCH_WORK", 3)
        monkeypatch.setattr("jobmaster.agents.nats.moves._READ_BESIDE_WORK", 0.0)
        stores.enqueue(3)
        assert len(stores.holder().claim()) == 3
        told: list[JobCopy] = []

        def save() -> int:
            return stores.transport.save(timedelta(0), 10, told.extend, lambda gone: None)

        assert save() == 0, "three jobs have come here since the last time"
        assert save() == 3, "none has"
        assert len(told) == 3


class TestWhatComesLate:
    """A worker that was frozen in mid-settle stores its outcome after others have rescued the job."""

    def test_an_outcome_that_the_master_will_refuse_takes_the_job_from_nobody(
        self, parties: Parties, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a storm had met (NATS, worker frozen, seed 1031) and nobody could explain: the successor found
        the outcome in the outbox, took the job for ended and dropped its message; then the master refused the
        outcome, and the job was gone."""
        (job_id,) = parties.hold()
        parties.onboard()  # so that whoever claims it looks first whether it has ended
        frozen = parties.agent.holder()
        _leave_a_late_outcome(parties, frozen, monkeypatch)
        successor = parties.agent.holder()
        (again,) = successor.claim()
        assert again.id == job_id
        assert parties.ship() == 2  # the lost run, and the outcome
        assert parties.master.get_job(job_id).status is JobStatus.READY  # type: ignore[union-attr]
        assert not successor.settle(successor.succeeded(again, '"second"')).refused
        parties.ship()
        job = parties.on_master(job_id)
        assert (job.status, job.result, job.losses) == (JobStatus.SUCCEEDED, "second", 1)
        assert successor.claim() == []

    def test_a_second_loss_beside_such_an_outcome_is_rescued_too(
        self, parties: Parties, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (job_id,) = parties.agent.enqueue()
        _leave_a_late_outcome(parties, parties.agent.holder(), monkeypatch)
        vanished = parties.agent.holder()
        assert [job.id for job in vanished.claim()] == [job_id]
        vanished.expire()
        assert parties.agent.settlement.rescue(5).released == 1
        assert parties.ship() >= 1
        _run_to_its_end(parties, job_id)

    def test_an_end_that_comes_between_two_steps_of_a_rescue_is_heard_by_the_master_first(
        self, parties: Parties, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The rescuer dies when the master knows of the loss and the stream does not. Whether the end counts
        is for the master to say, and nobody drops the message before."""
        (job_id,) = parties.agent.enqueue()

        def die() -> None:
            async def put_back(*_: object) -> None:
                raise TransientStoreError("the rescuer dies here")

            with monkeypatch.context() as patched:
                patched.setattr("jobmaster.agents.nats.settlement.put_back", put_back)
                assert parties.agent.settlement.rescue(5).released == 0

        _leave_a_late_outcome(parties, parties.agent.holder(), monkeypatch, die)
        assert parties.agent.settlement.rescue(5).released == 1
        _run_to_its_end(parties, job_id)

    def test_an_end_that_counted_is_not_run_again(
        self, parties: Parties, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The holder dies between the outbox and its acknowledgement."""
        (job_id,) = parties.agent.enqueue()
        holder = parties.agent.holder()
        (claimed,) = holder.claim()
        claims = _session(parties.agent).claims.stays[-1].claims
        delivered = claims[job_id]
        with monkeypatch.context() as patched:
            patched.setattr(Acknowledging, "begin", lambda *_: None)
            holder.settle(holder.succeeded(claimed, '"once"'))
        claims[job_id] = delivered  # its record, which is older, still names it
        holder.expire()
        assert parties.agent.settlement.rescue(5) == Rescue(5, 0, 0)
        assert parties.on_master(job_id).status is JobStatus.SUCCEEDED
        assert parties.run() == []
        assert parties.ship() == 1
        assert parties.on_master(job_id).result == "once"

    def test_a_list_and_a_count_know_that_such_a_job_lives(
        self, parties: Parties, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (job_id,) = parties.agent.enqueue()
        _leave_a_late_outcome(parties, parties.agent.holder(), monkeypatch)
        live = JobFilter(status=_LIVE)
        assert [job.id for job in parties.reader.find_jobs(live, 10, None)] == [job_id]
        assert parties.reader.count_jobs(live) == 1

    def test_a_job_that_is_settled_while_a_list_is_made_is_on_it(
        self, parties: Parties, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (job_id,) = parties.agent.enqueue()
        holder = parties.agent.holder()
        (claimed,) = holder.claim()
        looked, settled = threading.Event(), threading.Event()
        whereabouts = _Whereabouts.load

        async def after_the_outbox(places: _Whereabouts) -> _Whereabouts:
            looked.set()
            await asyncio.to_thread(settled.wait, 30)
            return await whereabouts(places)

        monkeypatch.setattr(_Whereabouts, "load", after_the_outbox)
        found: list[Job] = []
        listing = threading.Thread(
            target=lambda: found.extend(parties.reader.find_jobs(JobFilter(), 10, None))
        )
        listing.start()
        assert looked.wait(30)
        holder.settle(holder.succeeded(claimed))
        assert parties.transport.find_live(job_id) is None
        settled.set()
        listing.join(30)
        assert [(job.id, job.status) for job in found] == [(job_id, JobStatus.SUCCEEDED)]


class TestStrandedMessages:
    """A server whose disk was full kept the acknowledgement of a message and not its deletion."""

    def test_one_whose_job_has_ended_is_deleted_and_another_waits_again(
        self, parties: Parties, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settlement, session = parties.agent.settlement, _session(parties.agent)
        done, live, kept = parties.agent.enqueue(3)
        holder = parties.agent.holder()
        claims = {job.id: job for job in holder.claim()}
        stay = session.claims.stays[-1]
        floor = stay.claims[live].seq
        with monkeypatch.context() as patched:
            patched.setattr(Acknowledging, "begin", lambda *_: None)
            holder.settle(holder.succeeded(claims[done]))
        parties.ship()
        stay.forget([live])

        async def consumers(_: Session) -> list[dict[str, object]]:
            pattern = session.names.jobs_of("default", 3)
            return [
                {
                    "ack_floor": {"stream_seq": floor},
                    "delivered": {"consumer_seq": 3},
                    "config": {"filter_subject": pattern},
                }
            ]

        monkeypatch.setattr("jobmaster.agents.nats.stranded._consumers", consumers)
        monkeypatch.setattr("jobmaster.agents.nats.stranded._EVERY", 0.0)
        settlement.rescue(5)
        # one look may meet what is just being deleted
        assert parties.reader.count_jobs(JobFilter()) == 3
        settlement.rescue(5)
        left = parties.reader.find_jobs(JobFilter(), 10, None)
        assert {job.id for job in left} == {live, kept}
        (again,) = parties.agent.holder().claim()
        assert again.id == live
        assert not holder.settle(holder.succeeded(claims[kept])).refused

    def test_outcomes_that_the_master_has_are_deleted(
        self, parties: Parties, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (first, second) = parties.agent.enqueue(2)
        holder = parties.agent.holder()
        claims = {job.id: job for job in holder.claim()}
        holder.settle(holder.succeeded(claims[first]))
        outbox = _session(parties.agent).outbox

        async def everything(_: Outbox) -> dict[int, Shipment]:
            await outbox.refresh()
            return dict(outbox._read)

        monkeypatch.setattr(Outbox, "below_the_floor", everything)
        monkeypatch.setattr("jobmaster.agents.nats.stranded._EVERY", 0.0)
        parties.agent.settlement.rescue(5)
        assert parties.transport.unshipped()[0] == 1
        holder.settle(holder.succeeded(claims[second]))
        parties.agent.settlement.rescue(5)
        assert parties.on_master(first).status is JobStatus.SUCCEEDED
        # the other was met once
        assert parties.transport.unshipped()[0] == 1
        assert parties.ship() == 1

    def test_nothing_is_found_where_all_is_well(
        self, parties: Parties, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("jobmaster.agents.nats.stranded._EVERY", 0.0)
        ids = parties.agent.enqueue(4)
        parties.agent.enqueue(2, lane="quiet")
        holder = parties.agent.holder()
        first, second, *_ = holder.claim()
        holder.settle(holder.succeeded(first), holder.failed(second, timedelta(0)))
        for _ in range(3):
            parties.agent.settlement.rescue(5)
        left = parties.reader.find_jobs(JobFilter(status=_LIVE), 10, None)
        assert {job.id for job in left} >= set(ids) - {first.id}
        assert [job.id for job in holder.claim()] == [second.id]


def _run_to_its_end(parties: Parties, job_id: UUID) -> None:
    (claimed,) = parties.run()
    assert claimed.id == job_id
    parties.ship()
    assert parties.on_master(job_id).status is JobStatus.SUCCEEDED


def _leave_a_late_outcome(
    parties: Parties,
    holder: Holder,
    monkeypatch: pytest.MonkeyPatch,
    rescue: Callable[[], None] | None = None,
) -> None:
    """The holder claims, and its settle stands still between its look at the lease and what it writes, until
    its bucket was rescued."""
    store, standing, rescued = Outbox.store, threading.Event(), threading.Event()

    async def late(outbox: Outbox, shipment: Shipment, timeout: float) -> None:
        if not rescued.is_set() and shipment.ended:
            standing.set()
            await asyncio.to_thread(rescued.wait, 30)
        await store(outbox, shipment, timeout)

    (claimed,) = holder.claim()
    with monkeypatch.context() as patched:
        patched.setattr(Outbox, "store", late)
        settle = threading.Thread(target=holder.settle, args=[holder.succeeded(claimed, '"first"')])
        settle.start()
        assert standing.wait(30)
        holder.expire()
        if rescue is None:
            assert parties.agent.settlement.rescue(5).released == 1
        else:
            rescue()
        rescued.set()
        settle.join(30)
        assert not settle.is_alive()
    assert parties.transport.unshipped()[0] >= 1


NOW = datetime(2026, 5, 1, tzinfo=UTC)


def _session(stores: Stores) -> Session:
    settlement = stores.settlement
    assert isinstance(settlement, NatsSettlement)
    session = settlement._store._session
    assert session is not None
    return session


def _claimed_copy(session: Session, job_id: UUID, claim_no: int) -> JobCopy:
    return session.claims.stays[-1].claims[job_id].envelope.copy._replace(claim_no=claim_no)
