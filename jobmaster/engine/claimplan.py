"""What a worker asks for when it claims: how much of which priority, into which bucket, from where on."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from ..domain.job import ClaimedJob
from ..domain.priorities import WEIGHTS, Shares
from ..ports import ClaimRequest, Clock

__all__ = ["ClaimPlan"]

_FRESH = 1.0
"""Seconds after which a claim starts again from the beginning of the ready index."""
_LIVELY = 1.0
"""Seconds for which a priority that had work counts as competing."""


class ClaimPlan:
    """Shapes claim requests and learns from their answers.

    Dead index entries pile up at the low end of the ready index, and each claim would walk them. So the plan
    remembers the last ``(run_at, id)`` claimed per priority and starts there; it starts from the beginning
    at least every second, and whenever it found less than it asked for, since a job may have come in with
    an earlier due time.
    """

    def __init__(self, lane: str, buckets: Mapping[int, Sequence[UUID]], clock: Clock) -> None:
        self._lane = lane
        self._buckets = {priority: deque(ids) for priority, ids in buckets.items()}
        self._clock = clock
        self._shares = Shares()
        self._cursor: dict[int, tuple[datetime, UUID]] = {}
        self._full_at = dict.fromkeys(WEIGHTS, float("-inf"))
        self._lively_at = dict.fromkeys(WEIGHTS, float("-inf"))
        self.hungry = True
        """Whether the last answer suggests that more is ready now."""

    def request(self, room: int, closed: Collection[UUID] = ()) -> ClaimRequest | None:
        """A request for about ``room`` jobs, into none of the ``closed`` buckets; ``None`` when none fits."""
        now = self._clock.monotonic()
        open_ = {priority: self._next_open(priority, closed) for priority in self._buckets}
        lively = {p for p, at in self._lively_at.items() if now - at < _LIVELY and open_[p] is not None}
        limits = {p: n for p, n in self._shares.split(room, lively).items() if open_[p] is not None}
        if not limits:
            return None
        after: dict[int, tuple[datetime, UUID]] = {}
        for priority in limits:
            cursor = self._cursor.get(priority)
            if cursor is not None and now - self._full_at[priority] < _FRESH:
                after[priority] = cursor
            else:
                self._full_at[priority] = now
        buckets = {p: bucket for p, bucket in open_.items() if bucket is not None and p in limits}
        return ClaimRequest(self._lane, buckets, limits, after)

    def _next_open(self, priority: int, closed: Collection[UUID]) -> UUID | None:
        """The next bucket of a priority that is not closed; turns round-robin."""
        buckets = self._buckets[priority]
        for _ in range(len(buckets)):
            buckets.rotate(-1)
            if buckets[0] not in closed:
                return buckets[0]
        return None

    def learn(self, request: ClaimRequest, claimed: Sequence[ClaimedJob]) -> None:
        """Take in what a request brought."""
        now = self._clock.monotonic()
        counts = dict.fromkeys(request.limits, 0)
        for job in claimed:
            counts[job.priority] += 1
            position = (job.run_at, job.id)
            if position > self._cursor.get(job.priority, _LOWEST):
                self._cursor[job.priority] = position
        self.hungry = False
        for priority, limit in request.limits.items():
            count = counts[priority]
            if count:
                self._lively_at[priority] = now
            if count >= limit:
                self.hungry = True
            else:
                self._cursor.pop(priority, None)
                self._full_at[priority] = float("-inf")
                # a short answer from a cursor says nothing about what lies before the cursor
                self.hungry = self.hungry or priority in request.after
                if not count and limit > 1:
                    self._lively_at[priority] = float("-inf")


_LOWEST = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
