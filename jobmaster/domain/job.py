"""A job in each of its shapes: as enqueued, as claimed, as shown to users; and the pages around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from .status import JobStatus, Priority

__all__ = [
    "DEFAULT_LANE",
    "Attempt",
    "AttemptOutcome",
    "ClaimedJob",
    "Job",
    "JobError",
    "JobExplanation",
    "JobFilter",
    "NewJob",
    "Page",
    "Progress",
    "Reason",
    "job_of",
]

DEFAULT_LANE = "default"
"""The lane of jobs and workers that name none."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a run, or a job, failed.

    ``type`` is the exception's qualified name, or one of ``lost``, ``timeout``, ``cancelled``, ``failed``.
    """

    type: str
    message: str
    traceback: str | None = None

    def __str__(self) -> str:
        if self.type in ("lost", "timeout"):
            return self.message
        return f"{self.type}: {self.message}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running job says it is: ``fraction`` from 0 to 1, and a short text."""

    fraction: float
    message: str = ""


class AttemptOutcome(str, Enum):  # noqa: UP042 - prints with its class
    """How one run of a job ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    RETRY_LATER = "retry_later"
    SNOOZED = "snoozed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    KILLED = "killed"
    LOST = "lost"
    RETRIED = "retried"
    """Not a run: the mark of an explicit retry of a finished job."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a job that did not simply succeed, or that logged something.

    ``number`` counts runs from 1. ``log`` is what the handler wrote with ``job.log``, a line each.
    """

    number: int
    started_at: datetime | None
    finished_at: datetime | None
    outcome: AttemptOutcome
    error: JobError | None = None
    worker_id: UUID | None = None
    log: str | None = None


class NewJob(NamedTuple):
    """A validated job on its way into a store. ``data`` and ``metadata`` are JSON text. (A tuple, since that
    is made in a third of the time of a frozen dataclass, and bulk enqueues make many.)

    Due at ``run_at``; with ``run_at`` ``None``, ``delay`` after the store's own present time. Options that
    are ``None`` were not given by the caller: the worker takes the handler's or the cluster's.
    """

    id: UUID
    definition_id: str
    data: str
    lane: str = DEFAULT_LANE
    priority: int = Priority.MEDIUM
    run_at: datetime | None = None
    delay: timedelta = timedelta(0)
    metadata: str | None = None
    timeout: timedelta | None = None
    max_retries: int | None = None
    retry: str | None = None
    """JSON form of the retry policy of the call (``RetryPolicy.spec``)."""
    unique_key: str | None = None
    schedule_id: str | None = None
    occurrence_at: datetime | None = None
    recheck: bool = False
    """Enqueued again after an ambiguous answer: whoever claims it first asks the history."""
    agent: str | None = None
    """The agent connection that the caller asked for."""


class ClaimedJob(NamedTuple):
    """A job as the worker that claimed it sees it. ``(bucket_id, claim_no)`` is the fence of this claim."""

    id: UUID
    bucket_id: UUID
    claim_no: int
    definition_id: str
    lane: str
    priority: int
    run_at: datetime
    enqueued_at: datetime
    attempt: int
    """Runs so far, this one not counted."""
    failures: int
    losses: int
    recheck: bool
    cancel_requested: bool
    data: str
    metadata: str | None
    timeout_ms: int | None
    max_retries: int | None
    retry: str | None
    unknown_since: datetime | None
    """When a worker first met this job without knowing its definition id."""
    schedule_id: str | None
    occurrence_at: datetime | None


@dataclass(frozen=True)  # without slots, for :func:`job_of`
class Job:
    """A job as users see it: a snapshot, never updated in place.

    Instants are aware UTC. ``scheduled_at`` is when it is (or was last) due. ``data`` is the stored mapping.
    """

    id: UUID
    status: JobStatus
    definition_id: str
    data: Mapping[str, Any]
    metadata: Mapping[str, Any]
    lane: str
    priority: Priority
    scheduled_at: datetime
    enqueued_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    result: Any = None
    error: JobError | None = None
    progress: Progress | None = None
    agent_connection: str | None = None
    worker_id: UUID | None = None
    schedule_id: str | None = None
    unique_key: str | None = None
    occurrence_at: datetime | None = None
    """The nominal instant of the occurrence of its schedule that this is."""
    is_catchup: bool = False
    """Whether it makes up for an occurrence that was missed."""
    missed_count: int = 0
    """For how many missed occurrences it stands."""


_GIVEN_LATER = {given.name: given.default for given in fields(Job) if given.default is not MISSING}


def job_of(given: dict[str, Any]) -> Job:
    """A job of these fields, in a third of the time that the constructor of a frozen dataclass takes, which
    makes a call for each of them: whoever enqueues one job at a time is given one each time."""
    job = object.__new__(Job)
    object.__setattr__(job, "__dict__", {**_GIVEN_LATER, **given})
    return job


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs ``find_jobs`` and ``count_jobs`` look at; ``None`` or empty means all."""

    status: tuple[JobStatus, ...] = ()
    lane: str | None = None
    definition_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Top-level keys and the JSON values that they must have."""
    schedule_id: str | None = None
    scheduled_from: datetime | None = None
    scheduled_to: datetime | None = None
    """Exclusive."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a keyset listing; ``next_cursor`` is ``None`` on the last."""

    items: Sequence[T]
    next_cursor: str | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why a job is where it is; ``code`` is stable, ``message`` is for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class JobExplanation:
    """Why a job is where it is."""

    job_id: UUID
    status: JobStatus
    reasons: tuple[Reason, ...]

    def __str__(self) -> str:
        head = f"Job {self.job_id} is {self.status.value.replace('_', ' ')}"
        return head + ": " + "; ".join(reason.message for reason in self.reasons)
