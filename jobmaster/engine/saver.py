"""Keeps the master informed of what happens on one agent.

What has ended on the agent is shipped, and what stays there for longer than about a second is mirrored. While
the master is away outcomes gather on the agent; when they are too many, no more work is begun.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from ..domain.copies import Shipment
from ..errors import StoreError
from ..ports import AgentTransport, Clock, MasterStore
from .storethreads import StoreCalls
from .supervisor import Service

__all__ = ["MOST_BYTES", "MOST_JOBS", "Saver"]

MOST_JOBS = 100_000
MOST_BYTES = 256 * 1024 * 1024
"""Outcomes that may gather on an agent whose master is away, in number and in bytes, before its workers stop
claiming."""
_BATCH = 1000
_LINGER = 0.03
"""Seconds for which outcomes wait for company: nobody waits for them, since the agent answers for them."""
_MIRROR_AFTER = timedelta(seconds=1)
_BUSY_EVERY, _IDLE_EVERY = 1.0, 5.0


class Saver:
    """One per agent and process; ``tick`` belongs to a :class:`Service`."""

    def __init__(
        self,
        transport: AgentTransport,
        master: MasterStore,
        calls: StoreCalls,
        clock: Clock,
        logger: logging.Logger,
    ) -> None:
        self._transport = transport
        self._master = master
        self._calls = calls
        self._clock = clock
        self._logger = logger
        self._mirrored_at = float("-inf")
        self._active_at = float("-inf")
        self._unmirrored = 0
        self.full = False
        """Whether as many outcomes wait on the agent as may."""
        self.service = Service(
            f"saver-{transport.name}", self.tick, _BUSY_EVERY, clock, logger, first_after=_LINGER
        )

    def ring(self) -> None:
        """Something has happened on the agent; from the event loop's own thread."""
        self._active_at = self._clock.monotonic()
        self.service.ring()

    async def tick(self) -> float | None:
        """Ship and mirror what there is; seconds until the next look."""
        await self._clock.sleep(_LINGER)
        try:
            shipped = await self._ship()
            now = self._clock.monotonic()
            if now - self._mirrored_at >= _BUSY_EVERY:
                self._mirrored_at = now
                await self._mirror()
        except StoreError:
            await self._measure()
            raise
        self.full = False
        if shipped:
            return 0.0
        return _BUSY_EVERY if now - self._active_at < 3 * _BUSY_EVERY or self._unmirrored else _IDLE_EVERY

    async def flush(self) -> None:
        """Ship all that has ended, now."""
        await self._ship()

    async def _ship(self) -> int:
        total = 0
        while True:
            shipped = await self._calls.run(self._transport.ship, _BATCH, self._deliver)
            total += shipped
            if shipped < _BATCH:
                return total

    def _deliver(self, shipment: Shipment) -> None:
        refused = self._master.record(self._transport.key, shipment)
        if refused:
            self._logger.warning(
                "%d outcomes refused by the master: the jobs live elsewhere by now", len(refused)
            )

    async def _mirror(self) -> None:
        self._unmirrored = await self._calls.run(self._mirror_once)
        while self._unmirrored >= _BATCH:
            await asyncio.sleep(0)
            self._unmirrored = await self._calls.run(self._mirror_once)

    def _mirror_once(self) -> int:
        key, master = self._transport.key, self._master
        return self._transport.save(
            _MIRROR_AFTER,
            _BATCH,
            lambda copies: master.mirror(key, copies),
            self._retract,
        )

    def _retract(self, gone: Collection[UUID]) -> None:
        self._master.unmirror(gone)

    async def _measure(self) -> None:
        jobs, size = await self._calls.run(self._transport.unshipped)
        full = jobs >= MOST_JOBS or size >= MOST_BYTES
        if full and not self.full:
            self._logger.error(
                "agent %r keeps %d outcomes (%d bytes) that the master has not taken: no more jobs are "
                "claimed until it does",
                self._transport.name,
                jobs,
                size,
            )
        self.full = full
