"""How far the claims of a process have come in one lane of a store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set
from datetime import UTC, datetime
from uuid import UUID

from ..domain.ids import uuid_of
from ..domain.job import ClaimedJob
from ..domain.priorities import WEIGHTS
from ..ports import ClaimRequest, Clock

__all__ = ["Frontier"]

_FRESH = 1.0
"""Seconds after which a claim starts again from the beginning of the ready index."""
_THRIFT = 20
"""A look from the beginning may take one part in so many of the time."""
_LONGEST_WAIT = 5.0
"""Seconds between such looks at most, however long they take."""
_CHEAP = 0.005
"""Seconds that such a look may take in any case."""
_LIVELY = 1.0
"""Seconds for which a priority that had work counts as competing."""
_LOOKS = 4
"""How many looks at other priorities in a row have to take long: what is settled along varies as well."""
_BREATH = 0.05
"""Seconds between looks for work of the other priorities, while more than fits is ready of those."""


class Frontier:
    """Where claims begin, and which priorities they ask; learned from what all of them brought.

    Dead index entries pile up at the low end of the ready index, and each claim would walk them. So the last
    ``(run_at, id)`` claimed per priority is remembered, by whichever worker of the process, and the next
    claim starts there; it starts from the beginning at least every second, and whenever one found less than
    it asked for, since a job may have come in with an earlier due time. Where dead entries make that dear,
    because somebody holds an old snapshot, it does so less often: at most a twentieth of the time goes into
    it, unless they take longer than 0.25 s.

    Priorities that had no work lately are asked for one job along with the others: while those bring more
    than fits, every now and then. Such a look may be dear as well, since InnoDB walks the dead entries that
    follow an empty range up to the first living one; then it is made as seldom.

    Used from one event loop.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cursor: dict[int, tuple[datetime, UUID]] = {}
        self._full_at = dict.fromkeys(WEIGHTS, float("-inf"))
        self._short: set[int] = set()
        """Priorities of which the last claim brought less than it asked for."""
        self._usual: float | None = None
        """Seconds that a claim takes which starts from no beginning."""
        self._prices = (0.0, 0.0)
        """Seconds that the last two from a beginning took beyond that."""
        self._others_at = float("-inf")
        """When priorities without work were asked last."""
        self._others_prices = (0.0,) * _LOOKS
        """Seconds that the last claims which asked those took beyond those that did not."""
        self._lean: float | None = None
        """Seconds that a claim takes which does not."""
        self._lively_at = dict.fromkeys(WEIGHTS, float("-inf"))

    def lively(self) -> set[int]:
        """The priorities that had work lately."""
        now = self._clock.monotonic()
        return {priority for priority, at in self._lively_at.items() if now - at < _LIVELY}

    def passes_over(self, lively: Set[int], full: bool) -> bool:
        """Whether a claim may leave out all priorities but these, which had work lately; if not, it has to
        ask them. ``full``: they bring more than fits, and nobody has told of other work."""
        now = self._clock.monotonic()
        full = full and self._short.isdisjoint(lively)
        wait = max(_BREATH if full or self._lean is None else 0.0, _wait_after(self._others_prices))
        if lively and now < self._others_at + wait:
            return True
        self._others_at = now
        return False

    def starts(self, priorities: Iterable[int]) -> dict[int, tuple[datetime, UUID]]:
        """What a claim of these begins behind; of those left out, at the beginning."""
        now = self._clock.monotonic()
        after: dict[int, tuple[datetime, UUID]] = {}
        for priority in priorities:
            cursor = self._cursor.get(priority)
            if cursor is not None and now < self._whole_from(priority):
                after[priority] = cursor
            else:
                self._full_at[priority] = now
        return after

    def _whole_from(self, priority: int) -> float:
        """When to start from the beginning again."""
        wait = _wait_after(self._prices)
        return self._full_at[priority] + (wait if priority in self._short else max(_FRESH, wait))

    def learn(self, request: ClaimRequest, claimed: Collection[ClaimedJob], seconds: float) -> bool:
        """Take in what a claim brought, and how long the store took over it; whether more is to be had."""
        now = self._clock.monotonic()
        self._weigh(request, seconds)
        counts = dict.fromkeys(request.limits, 0)
        # by the numbers of ids: ids themselves compare in Python
        last: dict[int, tuple[datetime, int]] = {}
        for job in claimed:
            priority, place = job.priority, (job.run_at, job.id.int)
            counts[priority] += 1
            if priority not in last or place > last[priority]:
                last[priority] = place
        for priority, (run_at, number) in last.items():
            position = (run_at, uuid_of(number))
            # a full answer from the beginning: what follows it comes next, wherever the cursor was
            back = priority not in request.after and counts[priority] >= request.limits[priority]
            if back:
                self._cursor[priority] = position
                continue
            # not one that began further on than claims begin now: since it left, another has stepped back
            cursor = self._cursor.get(priority, _LOWEST)
            if request.after.get(priority, _LOWEST) <= cursor < position:
                self._cursor[priority] = position
        more = False
        for priority, limit in request.limits.items():
            count = counts[priority]
            if count:
                self._lively_at[priority] = now
            if count >= limit:
                more = True
                self._short.discard(priority)
            else:
                self._short.add(priority)
                # a short answer from a cursor says nothing about what lies before the cursor
                if priority in request.after and now >= self._whole_from(priority):
                    more = True
                if not count and limit > 1:
                    self._lively_at[priority] = float("-inf")
        return more

    def _weigh(self, request: ClaimRequest, seconds: float) -> None:
        whole = any(p in self._cursor and p not in request.after for p in request.limits)
        if whole:
            self._prices = (self._prices[1], max(0.0, seconds - (self._usual or 0.0)))
        if not request.aside:
            lean = seconds if self._lean is None else self._lean
            self._lean = lean + (seconds - lean) / 8
        elif self._lean is not None:
            self._others_prices = (*self._others_prices[1:], max(0.0, seconds - self._lean))
        dear = request.aside and _wait_after(self._others_prices)
        if not whole and request.after and not dear:
            usual = seconds if self._usual is None else self._usual
            self._usual = usual + (seconds - usual) / 8


def _wait_after(prices: Sequence[float]) -> float:
    """Seconds between looks of which the last ones took so long."""
    # one of them that did not shows that the others say nothing: a stall
    price = min(prices)
    return min(_LONGEST_WAIT, price * _THRIFT) if price > _CHEAP else 0.0


_LOWEST = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
