"""An alarm that one service sleeps on and anybody rings, and the way into an event loop from any thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..ports import Clock

__all__ = ["Alarm", "tell"]


def tell(loop: asyncio.AbstractEventLoop | None, callback: Callable[..., object], *args: Any) -> None:
    """Call ``callback(*args)`` in an event loop, soon; from any thread. A loop that was closed, at whatever
    moment, or that never was has nobody left to tell."""
    if loop is None:
        return
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise


class Alarm:
    """Wakes one sleeper, at once or after a time. A ring while nobody sleeps is kept for the next sleep."""

    __slots__ = ("_clock", "_rung", "_waiter")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake the sleeper; from the event loop's own thread only."""
        self._rung = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def sleep(self, seconds: float) -> bool:
        """Sleep until rung or until ``seconds`` have passed; whether it was rung."""
        if not self._rung and seconds > 0:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiter = waiter
            timer = asyncio.ensure_future(self._clock.sleep(seconds))
            timer.add_done_callback(lambda _: None if waiter.done() else waiter.set_result(None))
            try:
                await waiter
            finally:
                self._waiter = None
                timer.cancel()
        rung, self._rung = self._rung, False
        return rung
