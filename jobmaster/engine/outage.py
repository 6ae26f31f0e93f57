"""A store that does not answer: waiting longer each time, and telling when that began and ended."""

from __future__ import annotations

import logging
from datetime import timedelta

from ..domain.events import ConnectionLost, ConnectionRestored
from ..errors import StoreError
from ..ports import Clock
from .announcer import Announcer
from .backoff import Backoff

__all__ = ["Outage"]


class Outage:
    """Whether one agent answers, as one worker sees it."""

    def __init__(self, agent: str, clock: Clock, announcer: Announcer, logger: logging.Logger) -> None:
        self._agent = agent
        self._clock = clock
        self._announcer = announcer
        self._logger = logger
        self._backoff = Backoff(0.05, 1.0)
        self._since: float | None = None

    def over(self) -> None:
        """The agent has answered."""
        self._backoff.reset()
        if self._since is not None:
            lasted = timedelta(seconds=self._clock.monotonic() - self._since)
            self._since = None
            self._logger.info("agent %r answers again", self._agent)
            self._announcer.emit(ConnectionRestored(self._agent, lasted))

    async def wait(self, fault: StoreError) -> None:
        """The agent has not answered: wait until the next try."""
        if self._since is None:
            self._since = self._clock.monotonic()
            self._logger.warning("agent %r does not answer: %s", self._agent, fault)
            self._announcer.emit(ConnectionLost(self._agent, str(fault)))
        delay = self._backoff.next()
        self._logger.debug("next try in %.2f s: %s", delay, fault)
        await self._clock.sleep(delay)
