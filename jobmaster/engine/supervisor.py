"""Background loops: one service, one ``tick``; started in order, stopped in reverse, never dying unseen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..errors import StoreError
from ..ports import Clock
from .backoff import Backoff
from .signals import Alarm

__all__ = ["Service", "Supervisor"]


class Service:
    """A loop that calls ``tick`` every ``interval`` seconds, or sooner when :meth:`ring` is called.

    ``tick`` returns the seconds until the next tick, or ``None`` for the interval. A tick that raises is
    logged and tried again after a backoff; it ends neither the loop nor its neighbours.
    """

    def __init__(
        self,
        name: str,
        tick: Callable[[], Awaitable[float | None]],
        interval: float,
        clock: Clock,
        logger: logging.Logger,
        *,
        first_after: float = 0.0,
    ) -> None:
        self.name = name
        self._tick = tick
        self._interval = interval
        self._first_after = first_after
        self._alarm = Alarm(clock)
        self._backoff = Backoff(min(0.1, interval), max(5.0, interval))
        self._logger = logger
        self.failures = 0
        """Ticks in a row that raised."""

    def ring(self) -> None:
        """Tick now; from the event loop's own thread."""
        self._alarm.ring()

    async def run(self) -> None:
        """Tick until cancelled."""
        delay: float | None = self._first_after
        while True:
            await self._alarm.sleep(self._interval if delay is None else delay)
            try:
                delay = await self._tick()
            except StoreError as fault:
                delay = self._backoff.next()
                level = logging.WARNING if self.failures == 0 else logging.DEBUG
                self._logger.log(level, "%s: %s; next try in %.1f s", self.name, fault, delay)
                self.failures += 1
            except Exception:
                delay = self._backoff.next()
                self._logger.exception("%s failed; next try in %.1f s", self.name, delay)
                self.failures += 1
            else:
                if self.failures:
                    self._logger.info("%s works again after %d failed tries", self.name, self.failures)
                    self.failures = 0
                    self._backoff.reset()


class Supervisor:
    """Runs services as tasks and notices when one of them ends by itself."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._tasks: list[tuple[str, asyncio.Task[None]]] = []
        self._stopping = False

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Start a loop; should it die it is started again at once, and that is logged."""
        task = asyncio.get_running_loop().create_task(self._guard(name, run), name=f"jobmaster-{name}")
        self._tasks.append((name, task))

    async def _guard(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        while not self._stopping:
            try:
                await run()
            except Exception:
                self._logger.exception("loop %s died and is started again", name)
                await asyncio.sleep(0.1)
            else:
                return

    async def stop(self) -> None:
        """Cancel the loops, last started first, and wait for each."""
        self._stopping = True
        while self._tasks:
            _, task = self._tasks.pop()
            task.cancel()
            await asyncio.wait([task])
