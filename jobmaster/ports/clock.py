"""Time as the engine sees it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

__all__ = ["Clock"]


class Clock(Protocol):
    """Gives the time and waits for it. Tests use a fake that never sleeps."""

    def now(self) -> datetime:
        """The present instant, aware UTC, by the clock of the database that this clock follows."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back, runs on while the process is suspended."""
        ...

    def instant(self, at: float) -> datetime:
        """The same as :meth:`now` at this monotonic instant, for who has read that already."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long on this clock; cancellable."""
        ...

    def follow(self, store_now: datetime, asked_at: float, answered_at: float) -> None:
        """Learn a store's present time, asked for and answered at these monotonic instants."""
        ...
