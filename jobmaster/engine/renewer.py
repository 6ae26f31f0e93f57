"""Renews the leases of one worker from a thread of its own.

Never from the loop that runs user code: a handler that blocks the loop for a minute must not lose its claims.
But a loop that is stuck for good must lose them, or its jobs would be "running" for ever; so renewals stop
when the loop has shown no life for longer than its running jobs were allowed to take.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection
from datetime import timedelta
from uuid import UUID

from ..errors import StoreError
from ..ports import AgentTransport, Clock
from .trust import Trust

__all__ = ["Renewer"]


class Renewer:
    """One thread per set of buckets; ends when closed, or when trust is lost.

    ``vital`` tells the monotonic instant until which the loop may be silent; ``on_stuck()`` is called, from
    this thread, when that has passed and the lease still holds; ``on_lost(reason)`` once, when it is lost.
    """

    def __init__(
        self,
        transport: AgentTransport,
        worker_id: UUID,
        buckets: Collection[UUID],
        lease: timedelta,
        trust: Trust,
        clock: Clock,
        vital: Callable[[], float],
        on_stuck: Callable[[], None],
        on_lost: Callable[[str], None],
        logger: logging.Logger,
    ) -> None:
        self._transport = transport
        self._worker_id = worker_id
        self._buckets = tuple(buckets)
        self._lease = lease
        self._trust = trust
        self._clock = clock
        self._vital = vital
        self._on_stuck = on_stuck
        self._on_lost = on_lost
        self._logger = logger
        self._interval = lease.total_seconds() / 3
        self._failing = False
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Renew every third of the lease, from a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="jobmaster-renewer", daemon=True)
        self._thread.start()

    def start_in_loop(self) -> None:
        """The same on the running event loop and its clock: for tests, in which time is moved by hand."""
        self._task = asyncio.get_running_loop().create_task(self._run_in_loop())

    def close(self) -> None:
        """Stop renewing; returns once no renewal is under way."""
        self._closed.set()
        if self._task is not None:
            self._task.cancel()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=self._lease.total_seconds())

    def _run(self) -> None:
        pause: float | None = self._interval
        while pause is not None and not self._closed.wait(pause):
            pause = self._beat()

    async def _run_in_loop(self) -> None:
        pause: float | None = self._interval
        while pause is not None:
            await self._clock.sleep(pause)
            pause = self._beat()

    def _beat(self) -> float | None:
        """Renew once; seconds until the next time, ``None`` when there is nothing left to renew."""
        if not self._trust.holds():
            return self._lose("the lease could not be renewed in time")
        if self._clock.monotonic() > self._vital():
            self._on_stuck()
            return self._lose("the event loop is stuck")
        asked_at = self._clock.monotonic()
        try:
            renewal = self._transport.renew(self._worker_id, self._buckets, self._lease)
        except StoreError as fault:
            if not self._failing:
                self._logger.warning("lease renewal failed and is tried again: %s", fault)
            self._failing = True
            left = max(0.0, self._trust.until - self._clock.monotonic())
            return min(self._interval / 5, left + 0.001)
        except Exception:
            self._logger.exception("lease renewal failed and is tried again")
            self._failing = True
            return self._interval / 5
        self._failing = False
        self._clock.follow(renewal.now, asked_at, self._clock.monotonic())
        if not renewal.valid:
            if self._closed.is_set():
                return None
            return self._lose("the lease had run out in the store")
        self._trust.renewed(asked_at)
        return max(0.0, self._interval - (self._clock.monotonic() - asked_at))

    def _lose(self, reason: str) -> float | None:
        self._trust.revoke()
        self._on_lost(reason)
        return None
