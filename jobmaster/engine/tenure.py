"""One stay of a worker in its agent: its buckets, their lease, and the trust that goes with it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import UUID

from ..domain.ids import uuid7
from ..domain.priorities import WEIGHTS
from ..domain.status import BucketStatus
from ..ports import AgentTransport, BucketInfo, Clock
from .claimplan import ClaimPlan
from .frontier import Frontier
from .options import WorkerOptions
from .renewer import Renewer
from .trust import Trust

__all__ = ["Tenure"]


class Tenure:
    """A set of buckets from opening to closing or loss. A worker that lost one begins another."""

    def __init__(
        self,
        transport: AgentTransport,
        options: WorkerOptions,
        clock: Clock,
        vital: Callable[[], float],
        on_stuck: Callable[[], None],
        on_lost: Callable[[Tenure, str], None],
        frontier: Frontier,
        logger: logging.Logger,
    ) -> None:
        self._transport = transport
        self._options = options
        self._clock = clock
        lease = options.lease
        self.trust = Trust(clock, lease.total_seconds())
        self.infos = [
            BucketInfo(
                uuid7(),
                options.id,
                options.name,
                options.lane,
                int(priority),
                BucketStatus.ACTIVE,
                clock.now() + lease,
                transport.name,
            )
            for priority in WEIGHTS
            for _ in range(options.bucket_quantity.get(priority, 1))
        ]
        self.buckets: frozenset[UUID] = frozenset(info.id for info in self.infos)
        by_priority: dict[int, list[UUID]] = {}
        for info in self.infos:
            by_priority.setdefault(info.priority, []).append(info.id)
        self.plan = ClaimPlan(options.lane, by_priority, frontier)
        self._renewer = Renewer(
            transport,
            options.id,
            self.buckets,
            lease,
            self.trust,
            clock,
            vital,
            on_stuck,
            lambda reason: on_lost(self, reason),
            logger,
        )

    def open(self) -> None:
        """Create the buckets in the store and begin to renew them. Blocking."""
        asked_at = self._clock.monotonic()
        self._transport.open_buckets(self.infos, self._options.mode, self._options.lease)
        self.trust.renewed(asked_at)
        if self._options.renew_in_loop:
            self._renewer.start_in_loop()
        else:
            self._renewer.start()

    def complete(self) -> None:
        """The buckets accept no claim from now on; leases are still renewed. Blocking."""
        self._transport.complete_buckets(self._options.id)

    def close(self, keep: frozenset[UUID]) -> int:
        """Stop renewing and delete the buckets but those in ``keep``, which hold claims of threads that
        cannot be stopped and run out by themselves. How many jobs were given back. Blocking."""
        self._renewer.close()
        return self._transport.close_buckets(self.buckets - keep)

    def forsake(self) -> None:
        """Stop renewing and leave the buckets to rescue. Blocking."""
        self._renewer.close()
