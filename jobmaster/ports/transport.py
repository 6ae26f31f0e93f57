"""The agent: a store of ready jobs and of jobs in flight."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from ..domain.copies import AgentKey, JobCopy, Mirror, Shipment
from ..domain.job import ClaimedJob, Job, NewJob, Progress
from ..domain.status import BucketStatus, WorkerMode

__all__ = [
    "AgentTransport",
    "BucketInfo",
    "ClaimRequest",
    "Listener",
    "Marked",
    "Renewal",
    "RunningMark",
    "TakeRequest",
]


@dataclass(frozen=True, slots=True)
class BucketInfo:
    """One bucket: where a worker holds the jobs of one priority that it claimed."""

    id: UUID
    worker_id: UUID
    worker_name: str
    lane: str
    priority: int
    status: BucketStatus
    lease_until: datetime
    agent_connection: str
    jobs: int = 0
    """How many claims it holds."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """What a worker wants to claim in one go: up to ``limits[p]`` jobs of priority ``p`` into ``buckets[p]``.

    ``after`` is the claim cursor per priority: only jobs whose ``(run_at, id)`` is greater are looked at;
    a priority without one starts from the beginning of the ready index.
    """

    lane: str
    buckets: Mapping[int, UUID]
    limits: Mapping[int, int]
    after: Mapping[int, tuple[datetime, UUID]] = field(default_factory=dict)
    aside: frozenset[int] = frozenset()
    """Priorities that had no work lately and are asked along with those that had."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """Answer to a renewal. ``valid`` is false when a bucket is gone, lost or past its lease."""

    valid: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class RunningMark:
    """A claimed job that runs at present, for display, exact loss accounting and its progress."""

    job_id: UUID
    bucket_id: UUID
    claim_no: int
    started_at: datetime
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Marked:
    """Answer to marks: the jobs not owned any more, and those whose cancellation was requested."""

    lost: frozenset[UUID]
    cancel: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class TakeRequest:
    """Which waiting jobs are taken off an agent."""

    lane: str | None = None
    """Only those of this lane."""
    due_after: timedelta | None = None
    """Only those due later than this from now."""
    job_ids: tuple[UUID, ...] = ()
    """Only these, when there are any."""
    priority: int | None = None
    """Only those of this priority."""
    limit: int = 500


class Listener(Protocol):
    """A running subscription to wake-ups."""

    def close(self) -> None:
        """Stop; returns when no further call-back can come."""
        ...


class AgentTransport(Protocol):
    """A store of live jobs. Due-ness and leases go by the clock of the store itself.

    A row is *waiting* (unclaimed) or *claimed* by ``(bucket_id, claim_no)``. Every write after a claim
    carries that fence and leaves rows alone that it no longer owns.
    """

    @property
    def name(self) -> str:
        """The permanent name of this agent connection."""
        ...

    @property
    def key(self) -> AgentKey:
        """Its name and the id of its store; opens the store when need be."""
        ...

    @property
    def horizon(self) -> timedelta | None:
        """How long before they are due this agent takes jobs; ``None``: as long as the cluster likes."""
        ...

    def open(self) -> None:
        """Connect and check the identity stamp. Raises ``ConfigurationError`` for a store of another name
        or cluster. Idempotent."""
        ...

    def close(self) -> None:
        """Release every connection and thread. Idempotent; the store can be opened again."""
        ...

    def now(self) -> datetime:
        """The store's present instant."""
        ...

    def enqueue(self, jobs: Sequence[NewJob], timeout: float | None = None) -> datetime:
        """Insert jobs without unique keys: all or none, durable on return; wakes idle workers. Tried for
        ``timeout`` seconds, by default the operation timeout.

        Returns the store's present instant: a job without ``run_at`` is due ``delay`` after it, and it is
        every job's ``enqueued_at``. A job whose id is stored already is left alone. A
        :class:`TransientStoreError` with ``ambiguous`` set means that the jobs may be stored.
        """
        ...

    def open_buckets(self, buckets: Sequence[BucketInfo], mode: WorkerMode, lease: timedelta) -> None:
        """Create active buckets with a lease from now. ``lease_until`` of the given infos is ignored."""
        ...

    def renew(self, worker_id: UUID, buckets: Collection[UUID], lease: timedelta) -> Renewal:
        """Extend the lease of a worker's buckets, all or none: only while all are there, active or
        completing, and not past their lease."""
        ...

    def mark(self, marks: Sequence[RunningMark]) -> Marked:
        """Write start marks (kept when present) and progress of running jobs, fenced, and read requests to
        cancel them."""
        ...

    def cancellations(self, buckets: Collection[UUID]) -> frozenset[UUID]:
        """The claims of these buckets whose cancellation was requested. A cheap look."""
        ...

    def complete_buckets(self, worker_id: UUID) -> None:
        """A worker begins its clean stop: its buckets accept no claim any more."""
        ...

    def close_buckets(self, buckets: Collection[UUID]) -> int:
        """The end of a clean stop: whatever these buckets still hold becomes waiting again, uncharged,
        and the buckets are deleted. Returns how many jobs were given back."""
        ...

    def claimed_in(self, buckets: Collection[UUID]) -> list[ClaimedJob]:
        """Every claim that these buckets hold, read from the store: what a worker compares with its memory
        after an ambiguous answer."""
        ...

    def next_due(self, lane: str) -> tuple[datetime, datetime] | None:
        """The store's present instant and the earliest ``run_at`` of a waiting job of this lane, or
        ``None`` when none waits. Cheap: at most one index probe per priority, takes no lock."""
        ...

    def find_live(self, job_id: UUID) -> Job | None:
        """The live job of this id, as users see it."""
        ...

    def buckets(self) -> list[BucketInfo]:
        """All buckets of this store."""
        ...

    def listen(self, on_wake: Callable[[str | None], None]) -> Listener:
        """Call ``on_wake(lane)`` soon after jobs of a lane became claimable, and ``on_wake(None)`` when
        something may have been missed (after a reconnect). From any thread; hints only, polling is truth.

        A ``cancel`` request wakes listeners too."""
        ...

    # --- towards the master -------------------------------------------------------------------------

    def ship(self, limit: int, deliver: Callable[[Shipment], None]) -> int:
        """Hand what has ended here to ``deliver``, up to ``limit`` jobs and as many attempts, and forget
        it once that has returned. The number handed over.

        Several may ship at once: where the store can lock, they do not get the same rows. What ``deliver``
        raises is raised, and nothing is forgotten; a crash in between hands it over again."""
        ...

    def save(
        self,
        age: timedelta,
        limit: int,
        deliver: Callable[[Sequence[JobCopy]], None],
        retract: Callable[[Collection[UUID]], None],
    ) -> int:
        """Hand live jobs that the master does not know, enqueued at least ``age`` ago, to ``deliver``, and
        note that it knows them. Those that ended meanwhile go to ``retract``. The number handed over."""
        ...

    def unshipped(self) -> tuple[int, int]:
        """How many jobs that ended here the master does not know of, and about how many bytes they hold."""
        ...

    def receive(self, copies: Sequence[JobCopy]) -> None:
        """Insert jobs that the master gave to this agent, marked ``recheck``; idempotent. A copy with a
        lower placement that was left behind makes way; a job that has ended here since stays ended."""
        ...

    def take(self, bucket: BucketInfo, lease: timedelta, request: TakeRequest) -> list[JobCopy]:
        """Claim waiting jobs, due or not, into a fresh bucket of mode ``drain``, marked ``recheck``. An empty
        answer has opened no bucket. A bucket whose lease runs out gives them back uncharged."""
        ...

    def absent(self, mirrors: Sequence[Mirror]) -> frozenset[UUID]:
        """Which of these jobs neither live here, nor have ended here and wait to be told of. What a living
        worker is known to hold is not absent, even where its row or message is."""
        ...

    def let_go(self, bucket_id: UUID) -> None:
        """The jobs of such a bucket are on the master: delete them here, and the bucket."""
        ...

    def backlog(self, lane: str, most: int) -> int:
        """How many jobs of a lane are due and unclaimed, counted up to ``most``."""
        ...

    def waiting_lanes(self) -> list[str]:
        """The lanes in which jobs wait, due or not."""
        ...
