"""Time that a test moves by hand."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

__all__ = ["FakeClock"]


@dataclass(order=True)
class _Sleeper:
    until: float
    loop: asyncio.AbstractEventLoop = field(compare=False)
    woken: asyncio.Future[None] = field(compare=False)


class FakeClock:
    """A ``Clock`` that stands still until :meth:`advance`. Safe across threads and event loops.

    ::

        clock = FakeClock()
        task = asyncio.create_task(clock.sleep(60))
        clock.advance(60)
        await task
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._passed = 0.0
        self._lock = threading.Lock()
        self._sleepers: list[_Sleeper] = []

    def now(self) -> datetime:
        return self.instant(self._passed)

    def instant(self, at: float) -> datetime:
        return self._start + timedelta(seconds=at)

    def monotonic(self) -> float:
        return self._passed

    @property
    def sleepers(self) -> int:
        """How many coroutines are asleep on this clock."""
        with self._lock:
            return len(self._sleepers)

    @property
    def next_wake(self) -> float | None:
        """The monotonic instant at which the next sleeper wakes; ``None`` when nobody sleeps."""
        with self._lock:
            return min((sleeper.until for sleeper in self._sleepers), default=None)

    async def sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        sleeper = _Sleeper(self._passed + seconds, loop, loop.create_future())
        with self._lock:
            if sleeper.until > self._passed:
                self._sleepers.append(sleeper)
            else:
                sleeper.woken.set_result(None)
        try:
            await sleeper.woken
        finally:
            with self._lock:
                self._sleepers = [other for other in self._sleepers if other is not sleeper]

    def advance(self, seconds: float | timedelta) -> None:
        """Let time pass and wake whoever has slept long enough, earliest first."""
        passed = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
        if passed < 0:
            raise ValueError("time does not go back")
        with self._lock:
            self._passed += passed
            due = sorted(s for s in self._sleepers if s.until <= self._passed)
        for sleeper in due:
            sleeper.loop.call_soon_threadsafe(_wake, sleeper.woken)

    def follow(self, store_now: datetime, asked_at: float, answered_at: float) -> None:
        """Nothing to learn: stores under test read this very clock."""


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
