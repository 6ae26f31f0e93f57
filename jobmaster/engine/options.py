"""What one worker is told: plain values, resolved by the wiring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from ..domain.priorities import WEIGHTS
from ..domain.retry import RetryPolicy
from ..domain.status import ClusterMode, WorkerMode

__all__ = ["ClusterLimits", "WorkerOptions"]


@dataclass(slots=True)
class ClusterLimits:
    """The cluster's settings that may change while workers run; one object shared by all of a cluster."""

    mode: ClusterMode
    default_timeout: timedelta
    default_max_retries: int
    default_retry: RetryPolicy
    max_losses: int
    data_retention: timedelta | None
    max_message_bytes: int | None
    unknown_limit: timedelta = timedelta(days=1)
    """How long a job waits for a worker that knows its definition id."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """One worker of one agent."""

    id: UUID
    name: str
    lane: str
    mode: WorkerMode
    batch_size: int
    lease: timedelta
    grace: timedelta
    parallelism_factor: float = 1.0
    concurrency: int | None = None
    bucket_quantity: Mapping[int, int] = field(default_factory=dict)
    renew_in_loop: bool = False
    """Renew leases on the event loop's clock instead of from a thread: for tests."""

    @property
    def slots(self) -> int:
        """How many handlers run at once."""
        if self.concurrency is not None:
            return self.concurrency
        return max(1, round(sum(WEIGHTS.values()) * self.parallelism_factor))

    @property
    def buffer(self) -> int:
        """How many claimed jobs it holds, running ones included: back-pressure."""
        return max(1, min(self.batch_size, 5 * self.slots) + self.slots)

    @property
    def most_buffered(self) -> int:
        """How many it holds at most, while jobs are short; see :class:`.Depth`."""
        return 4 * self.batch_size + self.slots
