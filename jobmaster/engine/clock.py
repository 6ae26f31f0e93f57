"""The clock of production: the host's monotonic clock, offset to the database's time."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime

from ..ports import Clock

__all__ = ["GuidedClock", "SystemClock"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _monotonic() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SystemClock:
    """Tells the database's time without asking it: an offset to a monotonic clock, learned from answers.

    A worker whose host clock is hours off therefore behaves like any other. Until a store has been asked,
    the host's own clock serves. Between two answers the one with the shorter round trip wins, unless the
    older is more than a minute old (Cristian, *Probabilistic clock synchronization*, 1989).
    """

    def __init__(self) -> None:
        self.monotonic = _monotonic if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
        self._offset = time.time() - self.monotonic()
        self._quality = float("inf")
        self._learned_at = float("-inf")
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self.instant(self.monotonic())

    def instant(self, at: float) -> datetime:
        # three times as fast as adding a timedelta to the epoch
        return datetime.fromtimestamp(self._offset + at, UTC)

    def follow(self, store_now: datetime, asked_at: float, answered_at: float) -> None:
        round_trip = answered_at - asked_at
        with self._lock:
            if round_trip > self._quality and answered_at - self._learned_at < 60:
                return
            self._quality = round_trip
            self._learned_at = answered_at
            self._offset = (store_now - _EPOCH).total_seconds() - (asked_at + answered_at) / 2

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class GuidedClock:
    """Another clock, but for what agents say about the time: the master alone sets it."""

    def __init__(self, clock: Clock) -> None:
        self.now = clock.now
        self.instant = clock.instant
        self.monotonic = clock.monotonic
        self.sleep = clock.sleep

    def follow(self, store_now: datetime, asked_at: float, answered_at: float) -> None:
        """Left to whoever asks the master."""
