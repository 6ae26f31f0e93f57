"""What a worker asks for when it claims: how much of which priority, into which bucket, from where on."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from ..domain.job import ClaimedJob
from ..domain.priorities import Shares
from ..ports import ClaimRequest
from .frontier import Frontier

__all__ = ["ClaimPlan"]


class ClaimPlan:
    """Shapes the claim requests of one worker by what is known of its lane, and adds what they bring."""

    def __init__(self, lane: str, buckets: Mapping[int, Sequence[UUID]], frontier: Frontier) -> None:
        self._lane = lane
        self._buckets = {priority: deque(ids) for priority, ids in buckets.items()}
        self._frontier = frontier
        self._shares = Shares()
        self.hungry = True
        """Whether the last answer suggests that more is ready now."""

    def request(self, room: int, closed: Collection[UUID] = (), woken: bool = False) -> ClaimRequest | None:
        """A request for about ``room`` jobs, into none of the ``closed`` buckets; ``None`` when none fits.
        ``woken``: somebody has told of work, perhaps of a priority that had none."""
        open_ = {priority: self._next_open(priority, closed) for priority in self._buckets}
        lively = {p for p in self._frontier.lively() if open_[p] is not None}
        limits = {p: n for p, n in self._shares.split(room, lively).items() if open_[p] is not None}
        aside = limits.keys() - lively
        if aside and self._frontier.passes_over(lively, full=self.hungry and not woken):
            limits = {p: n for p, n in limits.items() if p in lively}
            aside = set()
        if not limits:
            return None
        buckets = {p: bucket for p, bucket in open_.items() if bucket is not None and p in limits}
        return ClaimRequest(self._lane, buckets, limits, self._frontier.starts(limits), frozenset(aside))

    def _next_open(self, priority: int, closed: Collection[UUID]) -> UUID | None:
        """The next bucket of a priority that is not closed; turns round-robin."""
        buckets = self._buckets[priority]
        for _ in range(len(buckets)):
            buckets.rotate(-1)
            if buckets[0] not in closed:
                return buckets[0]
        return None

    def learn(self, request: ClaimRequest, claimed: Sequence[ClaimedJob], seconds: float = 0.0) -> None:
        """Take in what a request brought, and how long the store took over it."""
        self.hungry = self._frontier.learn(request, claimed, seconds)
