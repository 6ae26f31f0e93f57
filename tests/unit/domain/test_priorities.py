"""Sharing between priorities."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from jobmaster.domain.priorities import WEIGHTS, Shares, WeightedQueue

PRIORITIES = sorted(WEIGHTS)


@given(
    rooms=st.lists(st.integers(1, 300), min_size=1, max_size=60),
    competing=st.sets(st.sampled_from(PRIORITIES)),
)
def test_shares_fill_the_room_by_weight_and_probe_the_rest(rooms: list[int], competing: set[int]) -> None:
    shares = Shares()
    active = competing or set(PRIORITIES)
    given_out: Counter[int] = Counter()
    for room in rooms:
        limits = shares.split(room, competing)
        assert sum(limits.get(p, 0) for p in active) == room
        assert all(limits[p] == 1 for p in PRIORITIES if p not in active)
        given_out.update({p: limits.get(p, 0) for p in active})
    total = sum(WEIGHTS[p] for p in active)
    for priority in active:
        assert abs(given_out[priority] - sum(rooms) * WEIGHTS[priority] / total) <= len(PRIORITIES)


def test_the_lowest_gets_its_part_of_the_smallest_room() -> None:
    shares = Shares()
    given_out: Counter[int] = Counter()
    for _ in range(200):
        given_out.update(shares.split(1, PRIORITIES))
    assert [given_out[p] for p in PRIORITIES] == [20, 30, 40, 50, 60]


def test_no_room_asks_for_nothing() -> None:
    assert Shares().split(0, ()) == {}


def test_competing_priorities_are_served_by_weight_and_none_starves() -> None:
    queue: WeightedQueue[int] = WeightedQueue()
    for priority in PRIORITIES:
        for _ in range(1000):
            queue.push(priority, priority)
    served = Counter(queue.pop() for _ in range(2000))
    for priority, weight in WEIGHTS.items():
        assert abs(served[priority] - 2000 * weight / 20) <= 2


def test_a_lone_priority_gets_everything_in_order() -> None:
    queue: WeightedQueue[int] = WeightedQueue()
    for n in range(50):
        queue.push(1, n)
    assert [queue.pop() for _ in range(51)] == [*range(50), None]


def test_higher_goes_first_and_idle_time_earns_no_credit() -> None:
    queue: WeightedQueue[str] = WeightedQueue()
    for n in range(100):
        queue.push(3, f"m{n}")
    for _ in range(50):
        assert queue.pop() is not None
    for n in range(100):
        queue.push(1, f"l{n}")
    head = [queue.pop() or "" for _ in range(12)]
    # 4 : 2, not a hundred of the newcomer's first
    assert 3 <= sum(item.startswith("l") for item in head) <= 5


@given(st.lists(st.tuples(st.sampled_from(PRIORITIES), st.integers()), max_size=60))
def test_nothing_is_lost_or_made_up(items: list[tuple[int, int]]) -> None:
    queue: WeightedQueue[tuple[int, int]] = WeightedQueue()
    for priority, item in items:
        queue.push(priority, (priority, item))
    out = [queue.pop() for _ in items]
    assert Counter(out) == Counter(items)
    assert queue.pop() is None
