"""How long a worker may trust that its claims are still its own.

A lease is granted by the store, for a time measured by the store's clock from the moment of the grant. The
holder measures the same time on its own monotonic clock from *before it asked*, and stops trusting a margin
earlier. Whatever delays the answer, the holder stops first (Gray and Cheriton, *Leases*, 1989). Once
trust has run out the holder cancels its handlers, claims nothing and settles nothing.
"""

from __future__ import annotations

import threading

from ..ports import Clock

__all__ = ["Trust"]


class Trust:
    """The trust window of one set of buckets. Safe to read and to extend from any thread."""

    def __init__(self, clock: Clock, lease: float) -> None:
        self._clock = clock
        self._lease = lease
        self.margin = lease * 0.2
        self._until = float("-inf")
        self._lost = False
        self._lock = threading.Lock()

    @property
    def until(self) -> float:
        """The monotonic instant at which trust ends unless it is renewed."""
        return float("-inf") if self._lost else self._until

    def renewed(self, asked_at: float) -> None:
        """The store granted a lease that was asked for at this monotonic instant."""
        with self._lock:
            # a renewal that arrives after trust ran out does not bring it back: handlers are being stopped
            if not self._lost:
                self._until = max(self._until, asked_at + self._lease - self.margin)

    def revoke(self) -> None:
        """Trust is over for good: the store said so, or the time ran out."""
        with self._lock:
            self._lost = True

    def holds(self, at: float | None = None) -> bool:
        """Whether the claims may be acted upon now. Once it was false it stays false. ``at`` is the present
        monotonic instant, for who has just read it."""
        if self._lost:
            return False
        if (self._clock.monotonic() if at is None else at) < self._until:
            return True
        self.revoke()
        return False
