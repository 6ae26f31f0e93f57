"""How far ahead of its slots a worker claims."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobmaster.domain.ids import uuid7
from jobmaster.domain.status import WorkerMode
from jobmaster.engine.depth import Depth
from jobmaster.engine.options import WorkerOptions

LEASE = timedelta(seconds=15)


def options(slots: int = 20, batch_size: int = 250) -> WorkerOptions:
    return WorkerOptions(
        uuid7(), "w", "default", WorkerMode.FULL, batch_size, LEASE, LEASE, concurrency=slots
    )


def drained(depth: Depth, pace: int, seconds: float, took: float = 0.01, since: float = 0.0) -> float:
    """Settles at an even pace, one after the other; when it ends."""
    now = since
    while now < since + seconds:
        now += took
        depth.settled(int(pace * took), took, now)
    return now


@pytest.mark.parametrize(
    ("slots", "batch_size", "size"), [(20, 250, 120), (100, 250, 350), (5, 5, 10), (1, 1, 2)]
)
def test_it_begins_with_five_for_a_slot_and_one_batch_at_most(slots: int, batch_size: int, size: int) -> None:
    depth = Depth(options(slots, batch_size), 0.0)
    assert depth.size == size
    assert depth.size == options(slots, batch_size).buffer


def test_short_jobs_are_claimed_further_ahead() -> None:
    depth = Depth(options(), 0.0)
    drained(depth, 4_000, 0.5)
    assert 350 <= depth.ahead <= 400  # a tenth of a second of them
    drained(depth, 60_000, 0.5, since=0.5)
    assert depth.ahead == 1_000  # four batches, never more
    assert depth.size == options().most_buffered


def test_long_jobs_are_not() -> None:
    depth = Depth(options(), 0.0)
    drained(depth, 100, 20)
    assert depth.ahead == 100


def test_a_store_far_away_is_made_up_for() -> None:
    """Each settle takes 0.2 s: what waits has to last for three of them."""
    near, far = Depth(options(), 0.0), Depth(options(), 0.0)
    drained(near, 1_200, 2, took=0.01)
    drained(far, 1_200, 2, took=0.2)
    assert near.ahead == 120
    assert far.ahead == 720


def test_a_pause_is_not_the_end_of_a_pace_but_a_second_is() -> None:
    depth = Depth(options(), 0.0)
    now = drained(depth, 20_000, 1)
    depth.settled(0, 0.05, now + 0.05)
    assert depth.ahead == 1_000
    assert depth.excess(1_000, now + 0.9) == 0
    assert depth.excess(1_000, now + 1.2) == 900
    assert depth.ahead == 100


def test_jobs_are_given_back_only_when_it_is_worth_it() -> None:
    depth = Depth(options(), 0.0)
    assert depth.excess(100, 5.0) == 0
    assert depth.excess(200, 5.0) == 0
    assert depth.excess(201, 5.0) == 101


def test_a_burst_after_a_quiet_time_counts_soon() -> None:
    depth = Depth(options(), 0.0)
    depth.settled(120, 0.005, 100.0)  # 120 in a hundred seconds
    assert depth.ahead == 100
    depth.settled(120, 0.005, 100.015)
    depth.settled(120, 0.005, 100.03)  # and 240 in 30 ms
    assert 799 <= depth.ahead <= 800
