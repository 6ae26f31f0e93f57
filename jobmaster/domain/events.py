"""What happened, told to observers: one small frozen value per kind of event.

Instants are aware UTC. Events are facts, told after they took effect; an observer changes nothing by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from .job import AttemptOutcome, JobError
from .status import JobStatus

__all__ = [
    "BucketsRescued",
    "ConnectionLost",
    "ConnectionRestored",
    "Event",
    "JobFinished",
    "JobRetrying",
    "JobSnoozed",
    "JobStarted",
    "LeaseLost",
    "Observer",
    "OccurrencesMissed",
    "OccurrencesSkipped",
    "ScheduleFailing",
    "SettingChanged",
    "UnknownDefinition",
    "WorkerStarted",
    "WorkerStopped",
]


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True, slots=True)
class WorkerStarted(Event):
    """A worker opened its buckets and begins to claim."""

    worker_id: UUID
    name: str
    lane: str


@dataclass(frozen=True, slots=True)
class WorkerStopped(Event):
    """A worker has ended its clean stop."""

    worker_id: UUID
    name: str
    lane: str


@dataclass(frozen=True, slots=True)
class JobStarted(Event):
    """A handler begins. ``attempt`` counts runs from 1."""

    job_id: UUID
    definition_id: str
    attempt: int
    worker_id: UUID


@dataclass(frozen=True, slots=True)
class JobFinished(Event):
    """A job has ended for good, and that is stored. ``duration`` is that of its last run."""

    job_id: UUID
    definition_id: str
    status: JobStatus
    attempt: int
    duration: timedelta | None = None
    error: JobError | None = None
    worker_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class JobRetrying(Event):
    """A run failed and the job runs again ``delay`` later; that is stored."""

    job_id: UUID
    definition_id: str
    outcome: AttemptOutcome
    attempt: int
    failures: int
    delay: timedelta
    error: JobError | None = None


@dataclass(frozen=True, slots=True)
class JobSnoozed(Event):
    """A run asked to be run again ``delay`` later, which is no failure; that is stored."""

    job_id: UUID
    definition_id: str
    attempt: int
    delay: timedelta


@dataclass(frozen=True, slots=True)
class BucketsRescued(Event):
    """Buckets of vanished workers were adopted: ``released`` jobs wait again, ``failed`` ended as lost."""

    agent_connection: str
    buckets: int
    released: int
    failed: int


@dataclass(frozen=True, slots=True)
class LeaseLost(Event):
    """A worker lost its lease: it stopped ``stopped`` handlers and dropped ``dropped`` unsettled outcomes."""

    worker_id: UUID
    stopped: int
    dropped: int


@dataclass(frozen=True, slots=True)
class ConnectionLost(Event):
    """A store cannot be reached. ``connection`` is the agent connection's name, or ``master``."""

    connection: str
    reason: str


@dataclass(frozen=True, slots=True)
class ConnectionRestored(Event):
    """A store can be reached again after ``outage``."""

    connection: str
    outage: timedelta


@dataclass(frozen=True, slots=True)
class SettingChanged(Event):
    """A cluster setting has another value now: declared at a start, pinned, or changed elsewhere."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class UnknownDefinition(Event):
    """A worker met a job whose definition id it does not know; the job waits for one that does."""

    definition_id: str
    worker_id: UUID


@dataclass(frozen=True, slots=True)
class OccurrencesMissed(Event):
    """Occurrences of a schedule are not run, because nobody planned them in time: at least ``count``."""

    schedule_id: str
    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class OccurrencesSkipped(Event):
    """Occurrences of a schedule are not run, because an earlier run is live."""

    schedule_id: str
    count: int


@dataclass(frozen=True, slots=True)
class ScheduleFailing(Event):
    """A schedule cannot be planned now; ``error`` says why, and it is tried again unless it was paused."""

    schedule_id: str
    error: str


class Observer(Protocol):
    """Is told events as they happen.

    Called in the event loop of the runtime, one event at a time: it must not block. What it raises is logged.

    >>> class Failures:
    ...     def on_event(self, event: Event) -> None:
    ...         if isinstance(event, JobFinished) and event.error:
    ...             print(event.definition_id, event.error)
    """

    def on_event(self, event: Event) -> None:
        """Take note of one event."""
        ...
