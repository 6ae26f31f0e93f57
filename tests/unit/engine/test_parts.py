"""The engine's small parts, one at a time, on a fake clock."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any
from uuid import UUID, uuid4

import pytest

from jobmaster.domain.ids import uuid7
from jobmaster.domain.job import ClaimedJob, NewJob
from jobmaster.domain.verdict import hand_back
from jobmaster.engine.claimplan import ClaimPlan
from jobmaster.engine.clock import SystemClock
from jobmaster.engine.completions import Completions
from jobmaster.engine.enqueuer import Enqueuer
from jobmaster.engine.errortext import describe_error, storable
from jobmaster.engine.frontier import Frontier
from jobmaster.engine.isolation import Isolation
from jobmaster.engine.outbox import Outbox
from jobmaster.engine.renewer import Renewer
from jobmaster.engine.signals import Alarm
from jobmaster.engine.storethreads import StoreThreads
from jobmaster.engine.supervisor import Service, Supervisor
from jobmaster.engine.trust import Trust
from jobmaster.errors import StoreError, TransientStoreError, TransportUnavailable
from jobmaster.ports import Renewal
from jobmaster.testing import FakeClock
from tests.unit.domain.test_verdict import claimed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
log = logging.getLogger("tests")


# -- trust and leases ------------------------------------------------------------------------------------


def test_trust_ends_before_the_lease_and_never_comes_back() -> None:
    clock = FakeClock()
    trust = Trust(clock, lease=15)
    assert not Trust(clock, 15).holds()
    trust.renewed(clock.monotonic())
    clock.advance(11.9)
    assert trust.holds()
    trust.renewed(asked_at=clock.monotonic())
    clock.advance(12.1)
    assert not trust.holds()
    trust.renewed(clock.monotonic())
    assert not trust.holds()


def test_trust_counts_from_the_question_not_from_the_answer() -> None:
    clock = FakeClock()
    trust = Trust(clock, lease=10)
    asked_at = clock.monotonic()
    clock.advance(7)  # the answer took that long
    trust.renewed(asked_at)
    clock.advance(1.5)
    assert not trust.holds()


class Lease:
    """The part of a transport that a renewer uses."""

    name = "fake"

    def __init__(self) -> None:
        self.answers: list[bool | Exception] = []
        self.asked = 0

    def renew(self, worker_id: UUID, buckets: Sequence[UUID], lease: timedelta) -> Renewal:
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return Renewal(answer, NOW)


async def renewing(lease: Lease, clock: FakeClock, vital: float = 1e9) -> tuple[Trust, list[str], Renewer]:
    trust, lost = Trust(clock, 15), list[str]()
    trust.renewed(clock.monotonic())
    renewer = Renewer(
        lease,  # type: ignore[arg-type]
        uuid4(),
        [uuid4()],
        timedelta(seconds=15),
        trust,
        clock,
        lambda: vital,
        lambda: lost.append("overdue runs are recorded first"),
        lost.append,
        log,
    )
    renewer.start_in_loop()
    await spin()
    return trust, lost, renewer


async def spin() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def pass_time(clock: FakeClock, seconds: float) -> None:
    for _ in range(int(seconds * 2)):
        clock.advance(0.5)
        await spin()


async def test_a_renewer_keeps_trust_alive() -> None:
    clock, lease = FakeClock(), Lease()
    trust, lost, renewer = await renewing(lease, clock)
    await pass_time(clock, 60)
    assert trust.holds()
    assert lost == []
    assert 11 <= lease.asked <= 13
    renewer.close()
    await spin()


async def test_failed_renewals_are_tried_again_until_trust_runs_out() -> None:
    clock, lease = FakeClock(), Lease()
    lease.answers = [TransientStoreError("down")] * 3
    trust, lost, renewer = await renewing(lease, clock)
    await pass_time(clock, 20)
    assert trust.holds()
    lease.answers = [TransientStoreError("down")] * 1000
    await pass_time(clock, 13)
    assert not trust.holds()
    assert lost == ["the lease could not be renewed in time"]
    renewer.close()
    await spin()


async def test_a_lease_that_the_store_denies_is_lost_at_once() -> None:
    clock, lease = FakeClock(), Lease()
    lease.answers = [False]
    trust, lost, renewer = await renewing(lease, clock)
    await pass_time(clock, 6)
    assert lost == ["the lease had run out in the store"]
    assert not trust.holds()
    renewer.close()
    await spin()


async def test_a_stuck_loop_is_given_up() -> None:
    clock, lease = FakeClock(), Lease()
    _trust, lost, renewer = await renewing(lease, clock, vital=20)
    await pass_time(clock, 19)
    assert lost == []
    await pass_time(clock, 10)
    assert lost == ["overdue runs are recorded first", "the event loop is stuck"]
    renewer.close()
    await spin()


# -- claiming ----------------------------------------------------------------------------------------------


def jobs(count: int, priority: int, start: int = 0) -> list[ClaimedJob]:
    return [
        claimed(id=UUID(int=start + n), priority=priority, run_at=NOW + timedelta(seconds=start + n))
        for n in range(count)
    ]


def plan(clock: FakeClock, quantity: int = 1) -> ClaimPlan:
    return plan_of(Frontier(clock), quantity)


def plan_of(frontier: Frontier, quantity: int = 1) -> ClaimPlan:
    return ClaimPlan("default", {p: [uuid4() for _ in range(quantity)] for p in range(1, 6)}, frontier)


def test_a_plan_asks_for_all_priorities_first_and_then_for_those_with_work() -> None:
    clock = FakeClock()
    p = plan(clock)
    first = p.request(20)
    assert first is not None
    assert first.limits == {5: 6, 4: 5, 3: 4, 2: 3, 1: 2}
    assert first.after == {}
    p.learn(first, jobs(4, 3))
    assert p.hungry
    second = p.request(20)
    assert second is not None
    # more of that is ready than fits: the others are asked again in a moment
    assert second.limits == {3: 20}
    assert second.after == {3: (NOW + timedelta(seconds=3), UUID(int=3))}
    p.learn(second, jobs(20, 3, start=10))
    clock.advance(0.05)
    third = p.request(20)
    assert third is not None
    assert third.limits == {5: 1, 4: 1, 3: 20, 2: 1, 1: 1}
    p.learn(third, jobs(19, 3, start=30))
    # there is room to spare: they are asked at once
    fourth = p.request(20)
    assert fourth is not None
    assert fourth.limits == {5: 1, 4: 1, 3: 20, 2: 1, 1: 1}


def test_looks_for_work_of_other_priorities_that_take_long_are_seldom() -> None:
    clock = FakeClock()
    p = plan(clock)
    asked_at: list[float] = []
    began = clock.monotonic()

    def claim(seconds: float) -> None:
        request = p.request(20)
        assert request is not None
        asks_others = len(request.limits) == 5
        if asks_others:
            asked_at.append(clock.monotonic() - began)
        clock.advance(0.01)
        found = jobs(request.limits[3], 3, start=int(clock.monotonic() * 1000) * 100)
        p.learn(request, found, seconds if asks_others else 0.002)

    while clock.monotonic() < began + 0.5:
        claim(0.003)
    assert len(asked_at) == pytest.approx(10, abs=2)
    asked_at.clear()
    while clock.monotonic() < began + 10:
        claim(0.042)
    # a twentieth of the time: the look of 0.04 s beyond the usual takes place every 0.8 s
    assert len(asked_at) == pytest.approx(12, abs=3)
    assert min(b - a for a, b in itertools.pairwise(asked_at[5:])) > 0.7
    # however dear, every five seconds; and when nothing else is left, at once
    asked_at.clear()
    while clock.monotonic() < began + 40:
        claim(60.0)
    assert 5 <= len(asked_at) <= 9
    request = p.request(20)
    assert request is not None
    p.learn(request, [], 0.002)
    clock.advance(1.0)
    assert len(p.request(20).limits) == 5  # type: ignore[union-attr]


@pytest.mark.parametrize("busy", [(3,), (4, 3), (3, 2, 1), (4, 3, 2, 1)])
@pytest.mark.parametrize("room", [3, 5, 6, 40])
@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.3])
def test_looks_for_work_of_other_priorities_that_cost_nothing_are_frequent(
    busy: tuple[int, ...], room: int, seconds: float
) -> None:
    """However long a claim takes, and however little is asked for."""
    clock = FakeClock()
    p = plan(clock)
    began, asked_at, number = clock.monotonic(), [clock.monotonic()], 0
    while clock.monotonic() < began + 20:
        request = p.request(room)
        assert request is not None
        if 5 in request.limits:
            asked_at.append(clock.monotonic())
        clock.advance(max(0.01, seconds))
        number += 1000
        found = [job for q in busy for job in jobs(request.limits.get(q, 0), q, start=number + 100 * q)]
        p.learn(request, found, seconds)
    # with the next claim after the wait, and the one after that while nothing is known of what is usual
    assert max(b - a for a, b in itertools.pairwise(asked_at)) <= 0.06 + 2 * max(0.01, seconds)


def test_a_wake_up_has_all_priorities_asked() -> None:
    p = plan(FakeClock())
    request = p.request(20)
    assert request is not None
    p.learn(request, jobs(20, 3))
    lean = p.request(20)
    assert lean is not None
    assert lean.limits == {3: 20}
    p.learn(lean, jobs(20, 3, start=50))
    woken = p.request(20, (), True)
    assert woken is not None
    assert woken.limits.keys() == {1, 2, 3, 4, 5}
    assert woken.aside == {1, 2, 4, 5}


def test_the_cursor_starts_again_every_second_and_after_a_short_answer() -> None:
    clock = FakeClock()
    p = plan(clock)
    request = p.request(20)
    assert request is not None
    p.learn(request, jobs(4, 3))
    clock.advance(1.1)
    late = p.request(20)
    assert late is not None
    assert late.after == {}
    p.learn(late, jobs(late.limits[3], 3, start=10))
    again = p.request(20)
    assert again is not None
    assert 3 in again.after
    p.learn(again, [])
    # nothing behind the cursor says nothing about what lies before it
    assert p.hungry
    whole = p.request(20)
    assert whole is not None
    assert whole.after == {}
    p.learn(whole, [])
    assert not p.hungry


def test_workers_of_one_process_start_where_another_has_come_to() -> None:
    clock = FakeClock()
    frontier = Frontier(clock)
    one, other = plan_of(frontier), plan_of(frontier)
    first = one.request(20)
    assert first is not None
    one.learn(first, jobs(first.limits[3], 3))
    early, later = one.request(20), other.request(20)
    assert early is not None
    assert later is not None
    assert early.after == later.after == {3: (NOW + timedelta(seconds=3), UUID(int=3))}
    assert early.limits == later.limits == {3: 20}
    assert early.buckets != later.buckets
    # the answers cross: the one that came further counts
    other.learn(later, jobs(20, 3, start=30))
    one.learn(early, jobs(20, 3, start=4))
    (third,) = [request for request in [one.request(20)] if request is not None]
    assert third.after == {3: (NOW + timedelta(seconds=49), UUID(int=49))}
    # what one worker has not got says nothing about the appetite of the other
    one.learn(third, [])
    assert (one.hungry, other.hungry) == (True, True)
    whole = other.request(20)
    assert whole is not None
    assert whole.after == {}
    other.learn(whole, [])
    assert (one.hungry, other.hungry) == (True, False)


def test_a_step_back_to_older_jobs_holds_against_answers_that_were_under_way() -> None:
    clock = FakeClock()
    frontier = Frontier(clock)
    plans = [plan_of(frontier) for _ in range(4)]
    first = plans[0].request(20)
    assert first is not None
    plans[0].learn(first, jobs(first.limits[3], 3, start=1000))
    under_way = [request for p in plans[1:] if (request := p.request(20)) is not None]
    clock.advance(1.0)
    whole = plans[0].request(20)
    assert whole is not None
    assert whole.after == {}
    # many with an earlier due time have come in
    plans[0].learn(whole, jobs(whole.limits[3], 3, start=0))
    back = (NOW + timedelta(seconds=whole.limits[3] - 1), UUID(int=whole.limits[3] - 1))
    for number, (p, request) in enumerate(zip(plans[1:], under_way, strict=True)):
        assert 3 in request.after
        p.learn(request, jobs(20, 3, start=2000 + 20 * number))
        following = p.request(20)
        assert following is not None
        assert following.after[3] == back
    # while those who began there go on from there
    again = [request for p in plans if (request := p.request(20)) is not None]
    for number, (p, request) in enumerate(zip(plans, again, strict=True)):
        p.learn(request, jobs(20, 3, start=100 + 20 * number))
    last = plans[0].request(20)
    assert last is not None
    assert last.after[3] == (NOW + timedelta(seconds=179), UUID(int=179))


def test_priorities_without_work_are_looked_at_by_one_worker_for_all() -> None:
    clock = FakeClock()
    frontier = Frontier(clock)
    plans = [plan_of(frontier) for _ in range(8)]
    looks, number = 0, 0
    for _ in range(100):
        for p in plans:
            request = p.request(20)
            assert request is not None
            looks += 5 in request.limits
            number += 100
            p.learn(request, jobs(request.limits[3], 3, start=number))
        clock.advance(0.01)
    assert 15 <= looks <= 30


def test_looks_from_the_beginning_that_take_long_are_seldom() -> None:
    clock = FakeClock()
    p = plan(clock)

    def claim(brings: int, *, whole: float, rest: float) -> bool:
        """Whether it started from the beginning; seconds that the store takes for it, and otherwise."""
        request = p.request(20)
        assert request is not None
        from_start = 3 not in request.after
        found = jobs(min(brings, request.limits[3]), 3, start=int(clock.monotonic() * 1000))
        p.learn(request, found, whole if from_start else rest)
        return from_start

    claim(20, whole=0.002, rest=0.002)
    assert not claim(20, whole=0.1, rest=0.002)
    clock.advance(1.0)
    # one that took long says nothing, it may have been a stall
    assert claim(1, whole=0.1, rest=0.002)
    assert claim(1, whole=0.1, rest=0.002)
    clock.advance(1.9)
    assert not claim(1, whole=0.1, rest=0.002)
    # nor does it turn in circles meanwhile
    assert not p.hungry
    clock.advance(0.1)
    assert claim(20, whole=0.003, rest=0.002)
    clock.advance(1.0)
    assert claim(1, whole=0.003, rest=0.002)
    # however dear, it looks again every five seconds
    assert claim(1, whole=9.0, rest=0.002)
    assert claim(1, whole=9.0, rest=0.002)
    clock.advance(4.9)
    assert not claim(1, whole=9.0, rest=0.002)
    clock.advance(0.1)
    assert claim(1, whole=0.003, rest=0.002)
    # cheap again: whatever comes in with an earlier due time is found at once
    assert claim(1, whole=0.003, rest=0.002)
    assert claim(0, whole=0.003, rest=0.002)


def test_what_is_older_than_what_was_claimed_is_gone_through_from_where_it_begins() -> None:
    """Many jobs taken back from a dead worker, say, after a worker had claimed everything."""
    p = plan(FakeClock())
    request = p.request(20)
    assert request is not None
    p.learn(request, jobs(1, 3, start=1000))
    older = jobs(60, 3)
    claims = 0
    while older:
        request = p.request(20)
        assert request is not None
        after = request.after.get(3)
        due = [job for job in older if after is None or (job.run_at, job.id) > after]
        brought = due[: request.limits[3]]
        p.learn(request, brought)
        older = [job for job in older if job not in brought]
        claims += 1
    assert claims <= 5


def test_closed_buckets_are_passed_over() -> None:
    p = plan(FakeClock(), quantity=2)
    first, second = p.request(20), p.request(20)
    assert first is not None
    assert second is not None
    assert first.buckets[3] != second.buckets[3]
    for _ in range(3):
        third = p.request(20, closed=[first.buckets[3]])
        assert third is not None
        assert third.buckets[3] == second.buckets[3]
    fourth = p.request(20, closed=[first.buckets[3], second.buckets[3]])
    assert fourth is not None
    assert 3 not in fourth.limits
    assert p.request(0) is None


def test_a_suspect_runs_alone_in_its_bucket() -> None:
    running: list[UUID] = []
    isolation, bucket, other = Isolation(running.__contains__), uuid4(), uuid4()
    a, b, c = (claimed(bucket_id=bucket) for _ in range(3))
    suspect, second = (claimed(bucket_id=bucket, losses=1) for _ in range(2))
    assert isolation.admit(a)
    running.append(bucket)
    assert not isolation.admit(suspect)  # waits for a
    assert not isolation.admit(b)  # waits behind the suspect
    assert isolation.admit(claimed(bucket_id=other))
    assert isolation.closed == {bucket}
    running.clear()
    assert isolation.ended(a, ran=True) == [suspect, b]
    assert isolation.admit(suspect)
    running.append(bucket)
    assert not isolation.admit(b)
    assert not isolation.admit(second)
    running.clear()
    assert not isolation.ended(suspect, ran=True)  # until its outcome is stored
    assert isolation.settled([hand_back(a)]) == []
    assert isolation.settled([hand_back(suspect)]) == [b, second]
    assert isolation.admit(b)
    running.append(bucket)
    assert not isolation.admit(second)
    assert not isolation.admit(c)
    isolation.forget()
    assert isolation.parked == []
    running.clear()
    assert not isolation.ended(b, ran=True)
    assert isolation.admit(c)


def test_suspects_are_gathered_and_the_last_goes_first() -> None:
    isolation = Isolation(lambda bucket: False)
    first, second, third = (claimed(losses=1) for _ in range(3))
    often = claimed(losses=2)
    assert not isolation.gathering
    isolation.gather([first, often, second])
    assert isolation.gathering
    assert isolation.gathered(more=True) == []
    # meanwhile they are here, and may be taken out
    assert isolation.parked == [first, often, second]
    gone = claimed(losses=1)
    isolation.gather([third, gone])
    assert isolation.withdraw(gone.id) is gone
    # what was lost least often goes first, and the last claimed before the others
    assert isolation.gathered(more=False) == [third, second, first, often]
    assert isolation.gathered(more=False) == isolation.parked == []
    assert not isolation.gathering
    isolation.gather([first])
    isolation.forget()
    assert isolation.gathered(more=False) == []


def test_suspects_are_not_gathered_for_ever() -> None:
    isolation = Isolation(lambda bucket: False)
    suspects = [claimed(losses=1) for _ in range(8)]
    for suspect in suspects[:-1]:
        isolation.gather([suspect])
        assert isolation.gathered(more=True) == []
    isolation.gather(suspects[-1:])
    assert isolation.gathered(more=True) == suspects[::-1]


def test_an_outbox_keeps_the_order_and_its_limit() -> None:
    outbox, changes = Outbox(2), [hand_back(claimed()) for _ in range(5)]
    for n, change in enumerate(changes):
        outbox.put(change, float(n))
    assert outbox.oldest_at == 0.0
    first = outbox.take()
    assert first == changes[:2]
    outbox.put_back(first, 9.0)
    assert [*outbox.take(), *outbox.take(), *outbox.take()] == changes
    assert outbox.oldest_at == float("inf")
    outbox.put(changes[0], 1.0)
    assert outbox.ids() == {changes[0].job.id}
    assert outbox.drop() == [changes[0].job.id]
    assert not outbox


# -- enqueueing ----------------------------------------------------------------------------------------------


class Store:
    """An agent whose inserts can be held up and made to fail."""

    name = "fake"

    def __init__(self) -> None:
        self.inserts: list[list[NewJob]] = []
        self.faults: list[Exception] = []
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.gate.set()

    def enqueue(self, jobs: Sequence[NewJob], timeout: float | None = None) -> datetime:
        self.entered.release()
        assert self.gate.wait(10)
        self.inserts.append(list(jobs))
        if self.faults:
            raise self.faults.pop(0)
        if any(job.definition_id == "bad" for job in jobs):
            raise StoreError("the store refuses this row")
        return NOW


def new(name: str = "x") -> NewJob:
    return NewJob(uuid7(), name, "{}")


@pytest.fixture
def store() -> Store:
    return Store()


def enqueuer(store: Store, timeout: float = 5.0) -> Enqueuer:
    return Enqueuer(store, timeout, SystemClock(), log)  # type: ignore[arg-type]


def test_calls_that_arrive_during_an_insert_share_the_next(store: Store) -> None:
    queue = enqueuer(store)
    store.gate.clear()
    first = queue.submit([new()])
    assert store.entered.acquire(timeout=5)
    rest: list[Future[datetime]] = [queue.submit([new()]) for _ in range(50)]
    store.gate.set()
    assert [future.result(5) for future in (first, *rest)] == [NOW] * 51
    assert [len(insert) for insert in store.inserts] == [1, 50]
    queue.close()


def test_a_bad_row_fails_its_own_call_only(store: Store) -> None:
    queue = enqueuer(store)
    store.gate.clear()
    first = queue.submit([new()])
    assert store.entered.acquire(timeout=5)
    good, bad, fine = queue.submit([new()]), queue.submit([new("bad")]), queue.submit([new()])
    store.gate.set()
    assert [future.result(5) for future in (first, good, fine)] == [NOW] * 3
    with pytest.raises(StoreError, match="refuses"):
        bad.result(5)
    queue.close()


def test_an_ambiguous_answer_is_asked_again_with_the_same_ids(store: Store) -> None:
    queue = enqueuer(store)
    store.faults = [TransientStoreError("gone", ambiguous=True)]
    job = new()
    assert queue.submit([job]).result(5) == NOW
    first, second = store.inserts
    assert (first[0].id, first[0].recheck) == (job.id, False)
    assert (second[0].id, second[0].recheck) == (job.id, True)
    queue.close()


def test_a_store_that_stays_away_is_a_clear_error_naming_the_jobs(store: Store) -> None:
    queue = enqueuer(store, timeout=0.2)
    store.faults = [TransientStoreError("gone", ambiguous=True)] * 1000
    job = new()
    with pytest.raises(TransportUnavailable, match="perhaps") as caught:
        queue.submit([job]).result(5)
    assert caught.value.job_ids == (job.id,)
    store.faults = [TransientStoreError("no connection")] * 1000
    with pytest.raises(TransportUnavailable, match="not stored"):
        queue.submit([new()]).result(5)
    queue.close()
    store.faults = []
    assert queue.submit([new()]).result(5) == NOW  # a closed enqueuer works again when it is needed
    queue.close()


def test_calls_that_meet_a_closing_are_stored_all_the_same(store: Store) -> None:
    queue = enqueuer(store)
    ended, asked = threading.Event(), list[Future[datetime]]()

    def ask() -> None:
        while not ended.is_set():
            asked.append(queue.submit([new()]))

    callers = [threading.Thread(target=ask) for _ in range(2)]
    for caller in callers:
        caller.start()
    for _ in range(200):
        queue.close()
    ended.set()
    for caller in callers:
        caller.join()
    queue.close()
    assert [future.result(5) for future in asked] == [NOW] * len(asked)
    assert sum(map(len, store.inserts)) == len(asked) > 200
    assert not [thread for thread in threading.enumerate() if thread.name == "jobmaster-enqueuer"]


def test_a_call_that_comes_as_the_thread_ends_goes_to_the_next(store: Store) -> None:
    queue = enqueuer(store)
    assert queue.submit([new()]).result(5) == NOW

    class HeldUp(SimpleQueue[Any]):
        """Its first call arrives once the thread has ended."""

        def put(self, item: Any, *args: Any) -> None:
            if item is not None and queue._line is not None:
                queue.close()
            super().put(item)

    line = queue._line
    assert line is not None
    line.calls.put(None)
    line.thread.join()
    line.calls = HeldUp()
    line.thread = threading.Thread(target=queue._run, args=(line,))
    line.thread.start()
    assert queue.submit([new()]).result(5) == NOW
    assert queue._line is not line
    queue.close()


def test_a_thread_that_cannot_be_started_fails_its_call_only(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = enqueuer(store)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            queue.submit([new()])
        queue.close()
    assert queue.submit([new()]).result(5) == NOW
    queue.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_threads_of_a_forked_child_enqueue_at_once(store: Store) -> None:
    queue = enqueuer(store)
    assert queue.submit([new()]).result(5) == NOW
    for _ in range(20):
        child = os.fork()
        if child == 0:
            answers: list[datetime] = []
            together = threading.Barrier(8)

            def ask(answers: list[datetime] = answers, together: threading.Barrier = together) -> None:
                together.wait()
                answers.append(queue.submit([new()]).result(5))

            threads = [threading.Thread(target=ask) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            os._exit(0 if answers == [NOW] * 8 else 1)
        assert os.waitpid(child, 0)[1] == 0
    assert queue.submit([new()]).result(5) == NOW
    queue.close()


# -- loops ---------------------------------------------------------------------------------------------------


async def test_a_service_that_raises_goes_on_after_a_backoff() -> None:
    clock, ticks = FakeClock(), list[float]()

    async def tick() -> float | None:
        ticks.append(clock.monotonic())
        if len(ticks) == 2:
            raise ValueError("a bug")
        if len(ticks) == 3:
            raise StoreError("down")
        return None

    supervisor = Supervisor(log)
    service = Service("test", tick, 10.0, clock, log)
    supervisor.start("test", service.run)
    await spin()
    await pass_time(clock, 45)
    assert len(ticks) >= 5
    service.ring()
    await spin()
    assert ticks[-1] == clock.monotonic()
    await supervisor.stop()


async def test_an_alarm_keeps_a_ring_for_the_next_sleep() -> None:
    clock = FakeClock()
    alarm = Alarm(clock)
    alarm.ring()
    assert await alarm.sleep(100)
    sleeper = asyncio.ensure_future(alarm.sleep(5))
    await spin()
    clock.advance(5)
    await spin()
    assert not await sleeper


async def test_store_threads_end_and_come_back() -> None:
    threads = StoreThreads(2, "test-store")
    names = await asyncio.gather(*(threads.run(lambda: threading.current_thread().name) for _ in range(8)))
    assert {name.rsplit("-", 1)[0] for name in names} == {"test-store"}
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
    assert threads.call(lambda: threading.current_thread().name, 5).startswith("test-store")
    with pytest.raises(ZeroDivisionError):
        threads.call(lambda: 1 // 0, 5)
    busy = threading.Event()
    with pytest.raises(TimeoutError):
        threads.call(busy.wait, 0.01)
    busy.set()
    threads.close()
    assert await threads.run(lambda: 5) == 5
    threads.close()


def test_completions_wake_watchers_once_they_watch() -> None:
    completions, job_id, woken = Completions(), uuid7(), list[int]()
    completions.ended([job_id])
    unwatch = completions.watch(job_id, lambda: woken.append(1))
    completions.ended([uuid7(), job_id])
    unwatch()
    completions.ended([job_id])
    assert woken == [1]


def test_a_clock_follows_the_store_and_prefers_short_round_trips() -> None:
    clock = SystemClock()
    base = clock.monotonic()
    clock.follow(NOW, base, base + 0.001)
    assert abs((clock.now() - NOW).total_seconds()) < 1
    clock.follow(NOW + timedelta(hours=1), base, base + 5)  # a slow answer soon after says less
    assert abs((clock.now() - NOW).total_seconds()) < 1


def test_errors_become_text_that_every_store_keeps() -> None:
    class Nasty(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    try:
        raise Nasty
    except Nasty as error:
        described = describe_error(error)
    assert "cannot be shown" in described.message
    assert "test_parts.py" in str(described.traceback)
    assert storable("a\x00b\ud800", 100) == "a\\x00b\\ud800"
    assert len(storable("x" * 100_000, 1000)) < 1100
