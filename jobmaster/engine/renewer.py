"""Renews the leases of one worker from a thread of its own.

Never from the loop that runs user code: a handler that blocks the loop for a minute must not lose its claims.
But a loop that is stuck for good must lose them, or its jobs would be "running" for ever; so renewals stop
when the loop has shown no life for longer than its running jobs were allowed to take.
"""

from __future__ import annotations

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

    ``vital`` tells the monotonic instant until which the loop may be silent; ``on_lost(reason)`` is called
    once, from this thread, when the buckets are lost.
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
        self._on_lost = on_lost
        self._logger = logger
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobmaster-renewer", daemon=True)

    def start(self) -> None:
        """Start renewing every third of the lease."""
        self._thread.start()

    def close(self) -> None:
        """Stop renewing; returns once no renewal is under way."""
        self._closed.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=self._lease.total_seconds())

    def _run(self) -> None:
        interval = self._lease.total_seconds() / 3
        pause = interval
        failing = False
        while not self._closed.wait(pause):
            if not self._trust.holds():
                self._on_lost("the lease could not be renewed in time")
                return
            if self._clock.monotonic() > self._vital():
                self._trust.revoke()
                self._on_lost("the event loop is stuck")
                return
            asked_at = self._clock.monotonic()
            try:
                renewal = self._transport.renew(self._worker_id, self._buckets, self._lease)
            except StoreError as fault:
                if not failing:
                    self._logger.warning("lease renewal failed and is tried again: %s", fault)
                failing = True
                pause = min(interval / 5, max(0.0, self._trust.until - self._clock.monotonic()) + 0.001)
                continue
            except Exception:
                self._logger.exception("lease renewal failed and is tried again")
                failing = True
                pause = interval / 5
                continue
            failing = False
            self._clock.follow(renewal.now, asked_at, self._clock.monotonic())
            if not renewal.valid:
                if self._closed.is_set():
                    return
                self._trust.revoke()
                self._on_lost("the lease had run out in the store")
                return
            self._trust.renewed(asked_at)
            pause = max(0.0, interval - (self._clock.monotonic() - asked_at))
