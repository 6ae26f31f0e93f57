"""Sharing slots between priorities 2:3:4:5:6, so that the higher goes first and none starves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Generic, TypeVar

from .status import Priority

__all__ = ["WEIGHTS", "Shares", "WeightedQueue"]

WEIGHTS: Mapping[int, int] = {
    Priority.VERY_LOW: 2,
    Priority.LOW: 3,
    Priority.MEDIUM: 4,
    Priority.HIGH: 5,
    Priority.CRITICAL: 6,
}
"""Run slots of each priority, times the parallelism factor."""

T = TypeVar("T")


class Shares:
    """Divides room for claims between priorities by weight, carrying fractions over to the next time.

    The largest-remainder method, with the remainders kept: however small the room is each time, every
    competing priority gets its part in the long run, so that none starves.
    """

    __slots__ = ("_credit",)

    def __init__(self) -> None:
        self._credit: dict[int, float] = {}

    def split(self, room: int, competing: Collection[int]) -> dict[int, int]:
        """How many jobs of each priority to ask for when ``room`` more fit in the buffer.

        The priorities in ``competing`` (those that had work lately; empty means all) share the room; every
        other one is asked for one job, so that new work there is found at once. The sum exceeds ``room``
        by at most the number of those.
        """
        if room <= 0:
            return {}
        active = sorted(competing or WEIGHTS, reverse=True)
        total = sum(WEIGHTS[priority] for priority in active)
        credit = {p: self._credit.get(p, 0.0) + room * WEIGHTS[p] / total for p in active}
        limits = {priority: max(0, int(credit[priority])) for priority in active}
        spare = room - sum(limits.values())
        by_remainder = sorted(active, key=lambda p: (credit[p] - limits[p], p), reverse=True)
        for priority in by_remainder[: max(0, spare)]:
            limits[priority] += 1
        for priority in reversed(active):
            # carried credit may have rounded up more than there is room for: the lowest wait
            if spare >= 0:
                break
            taken = min(-spare, limits[priority])
            limits[priority] -= taken
            spare += taken
        self._credit = {priority: credit[priority] - limits[priority] for priority in active}
        for priority in WEIGHTS:
            limits.setdefault(priority, 1)
        return {priority: limit for priority, limit in sorted(limits.items(), reverse=True) if limit}


class WeightedQueue(Generic[T]):
    """A queue per priority; :meth:`pop` serves them in proportion to their weights.

    Stride scheduling (Waldspurger and Weihl, 1995): each priority carries a pass value that grows by
    1 / weight with every item served; the lowest pass with items waiting is next, the higher priority
    winning ties. A priority that was empty starts again at the present pass, so it saves up no claim.
    """

    __slots__ = ("_last", "_pass", "_queues", "_virtual", "size")

    def __init__(self) -> None:
        self._queues: dict[int, deque[T]] = {p: deque() for p in sorted(WEIGHTS, reverse=True)}
        self._pass = dict.fromkeys(self._queues, 0.0)
        self._virtual = 0.0
        self.size = 0
        """How many items wait."""
        self._last = 0
        """The priority that was served last."""

    def __iter__(self) -> Iterator[T]:
        for queue in self._queues.values():
            yield from queue

    def waiting(self, priority: int) -> int:
        """How many items of this priority wait."""
        return len(self._queues[priority])

    def push(self, priority: int, item: T) -> None:
        """Append an item behind those of its priority."""
        queue = self._queues[priority]
        if not queue and self._pass[priority] < self._virtual:
            self._pass[priority] = self._virtual
        queue.append(item)
        self.size += 1

    def push_front(self, priority: int, item: T) -> None:
        """Put an item back before those of its priority."""
        self._queues[priority].appendleft(item)
        self.size += 1

    def pop(self) -> T | None:
        """The item whose turn it is; ``None`` when nothing waits."""
        if not self.size:
            return None
        passes = self._pass
        best = self._last
        if best and len(self._queues[best]) == self.size:
            # nothing waits of any other priority
            best_pass = passes[best]
        else:
            best, best_pass = 0, 0.0
            for priority, queue in self._queues.items():
                if queue and (not best or passes[priority] < best_pass):
                    best, best_pass = priority, passes[priority]
            self._last = best
        self._virtual = best_pass
        passes[best] = best_pass + 1.0 / WEIGHTS[best]
        self.size -= 1
        return self._queues[best].popleft()

    def take_last(self, count: int, suits: Callable[[T], bool]) -> list[T]:
        """Take out up to ``count`` items that suit, of the lowest priority and from behind first."""
        found: list[T] = []
        for priority in reversed(self._queues):
            kept: deque[T] = deque()
            for item in reversed(self._queues[priority]):
                if len(found) < count and suits(item):
                    found.append(item)
                else:
                    kept.appendleft(item)
            self._queues[priority] = kept
        self.size -= len(found)
        return found

    def clear(self) -> list[T]:
        """Take everything out."""
        items = list(self)
        for queue in self._queues.values():
            queue.clear()
        self.size = 0
        return items
