"""How far ahead of its slots a worker claims."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobmaster.domain.ids import uuid7
from jobmaster.domain.priorities import WeightedQueue
from jobmaster.domain.status import Priority, WorkerMode
from jobmaster.engine.depth import Depth
from jobmaster.engine.isolation import Isolation
from jobmaster.engine.options import WorkerOptions
from tests.unit.domain.test_verdict import claimed

LEASE = timedelta(seconds=15)


def options(slots: int = 20, batch_size: int = 250) -> WorkerOptions:
    return WorkerOptions(
        uuid7(), "w", "default", WorkerMode.FULL, batch_size, LEASE, LEASE, concurrency=slots
    )


def after(
    lasting: float, ended: int = 100, took: float = 0.01, size: float = 100.0, depth: Depth | None = None
) -> Depth:
    """A settle is back, and so many runs have ended that lasted for so many seconds each."""
    depth = depth or Depth(options())
    depth.ended += ended
    depth.busy += ended * lasting
    depth.settled(took, size, 0)
    return depth


@pytest.mark.parametrize(
    ("slots", "batch_size", "size"), [(20, 250, 120), (100, 250, 350), (5, 5, 10), (1, 1, 2)]
)
def test_it_begins_with_five_for_a_slot_and_one_batch_at_most(slots: int, batch_size: int, size: int) -> None:
    depth = Depth(options(slots, batch_size))
    assert depth.size == depth.least == size == options(slots, batch_size).buffer
    depth.settled(0.01, 100.0, 0)
    assert depth.size == size  # nothing has ended yet


@pytest.mark.parametrize(
    ("lasting", "ahead"), [(0.0001, 1_000), (0.004, 500), (0.01, 200), (0.02, 100), (0.05, 100), (60.0, 100)]
)
def test_what_waits_begins_within_a_tenth_of_a_second_or_is_not_much(lasting: float, ahead: int) -> None:
    depth = after(lasting)
    assert depth.ahead == pytest.approx(ahead, abs=1)
    assert depth.size <= options().most_buffered


def test_a_burst_of_long_jobs_is_known_by_how_long_they_ran() -> None:
    """Two hundred jobs of two seconds that end at once are no pace of two hundred in an instant."""
    depth = Depth(options(slots=200))
    for _ in range(5):
        after(2.0, ended=200, took=0.005, depth=depth)
        assert depth.ahead == 250


def test_what_did_not_run_says_nothing() -> None:
    """Jobs given back, deferred, or cancelled before they began are stored too."""
    depth = Depth(options())
    depth.settled(0.001, 100.0, 0)
    assert depth.ahead == 100


def test_a_store_far_away_is_made_up_for() -> None:
    """Each settle takes 0.2 s: what waits has to last for three of them. Not for ever, if one hangs."""
    assert after(0.05, took=0.01).ahead == 100
    assert after(0.05, took=0.2).ahead == pytest.approx(240, abs=1)
    assert after(0.1, took=60).ahead == pytest.approx(200, abs=1)


def test_slots_that_long_jobs_occupy_do_not_count() -> None:
    depth = after(0.001)
    assert depth.ahead == 1_000
    depth.settled(0.01, 100.0, 19)
    assert depth.ahead == 100
    depth.settled(0.01, 100.0, 20)
    assert depth.ahead == 100
    depth.settled(0.01, 100.0, 10)
    assert depth.ahead == pytest.approx(1_000, abs=1)
    depth.settled(0.01, 100.0, 15)
    assert depth.ahead == pytest.approx(500, abs=1)


def test_few_that_ended_change_little_and_many_all() -> None:
    depth = after(0.001, ended=1_000)
    after(0.1, ended=1, depth=depth)
    assert 300 < depth.ahead < 400
    after(0.1, ended=2_000, depth=depth)
    assert depth.ahead == 100


def test_large_jobs_are_not_held_by_the_thousand() -> None:
    assert after(0.0001, size=2_000.0).ahead == 1_000
    assert after(0.0001, size=200_000.0).ahead == pytest.approx(167, abs=1)
    assert after(0.0001, size=2_000_000.0).ahead == 100


def test_what_waits_too_long_is_given_back_once_it_lasts() -> None:
    depth = after(0.0001)
    assert depth.due(1_000, 5.0)
    assert depth.excess(1_000, 0, 5.0) == 0
    assert not depth.due(1_000, 5.05)  # looked at just now
    assert depth.excess(1_000, 20, 5.2) == 0
    assert depth.excess(1_000, 20, 5.9) == 0
    assert depth.excess(1_000, 20, 6.3) == 900
    assert depth.ahead == 100


def test_a_pause_of_the_process_is_no_reason() -> None:
    """All that runs looks old for a moment."""
    depth = after(0.0001)
    assert depth.excess(1_000, 20, 10.0) == 0
    assert depth.excess(900, 0, 10.1) == 0
    assert depth.excess(900, 20, 14.0) == 0


@pytest.mark.parametrize("waiting", [100, 200])
def test_a_few_are_not_given_back(waiting: int) -> None:
    depth = Depth(options())
    assert not depth.due(waiting, 5.0)
    assert depth.due(201, 5.0)


def test_the_last_of_the_lowest_priority_go_first() -> None:
    queue: WeightedQueue[int] = WeightedQueue()
    for number in range(4):
        queue.push(Priority.LOW, number)
        queue.push(Priority.HIGH, 10 + number)
    assert queue.take_last(3, lambda item: item != 2) == [3, 1, 0]
    assert queue.take_last(2, lambda item: True) == [2, 13]
    assert (queue.size, list(queue)) == (3, [10, 11, 12])
    assert [queue.pop() for _ in range(4)] == [10, 11, 12, None]
    assert queue.take_last(5, lambda item: True) == []


def test_innocent_jobs_behind_a_suspect_are_given_back_too() -> None:
    isolation = Isolation(lambda bucket: False)
    suspect = claimed()._replace(losses=1)
    others = [claimed()._replace(bucket_id=suspect.bucket_id, id=uuid7(), losses=n % 2) for n in range(6)]
    assert isolation.admit(suspect)
    assert not any(map(isolation.admit, others))
    assert isolation.spare(2) == [others[4], others[2]]
    assert isolation.parked == [others[0], others[1], others[3], others[5]]
    assert isolation.spare(9) == [others[0]]
    isolation.ended(suspect, ran=False)
