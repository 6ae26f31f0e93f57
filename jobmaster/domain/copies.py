"""Jobs on their way between the stores of a cluster.

A job lives in one store at a time. What travels is a copy of its row; ``placement`` says which copy is the
live one: it grows with every move, on the master first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from .job import JobError
from .status import JobStatus
from .verdict import AttemptRecord

__all__ = ["AgentKey", "EndedJob", "JobCopy", "Mirror", "Shipment"]


class AgentKey(NamedTuple):
    """An agent's store: its permanent name, and the random id that tells it from every other store."""

    name: str
    store_id: UUID


class Mirror(NamedTuple):
    """A job that the master knows to live on an agent: enough to find it there."""

    id: UUID
    lane: str
    priority: int


class JobCopy(NamedTuple):
    """A live job as it travels. Instants are aware UTC; ``data`` and ``metadata`` are JSON text."""

    id: UUID
    definition_id: str
    lane: str
    priority: int
    run_at: datetime
    enqueued_at: datetime
    claim_no: int
    attempt: int
    failures: int
    losses: int
    placement: int
    data: str
    content_type: str | None
    metadata: str | None
    timeout_ms: int | None
    max_retries: int | None
    retry: str | None
    unique_key: str | None
    schedule_id: str | None
    occurrence_at: datetime | None
    started_at: datetime | None
    error_type: str | None
    error_message: str | None
    error_traceback: str | None
    agent: str | None
    """The agent connection that the caller asked for."""
    unknown_since: datetime | None

    def moved(self, by: timedelta) -> JobCopy:
        """The same with its due time and time of enqueueing moved, for a store with another clock."""
        return self._replace(run_at=self.run_at + by, enqueued_at=self.enqueued_at + by) if by else self


class EndedJob(NamedTuple):
    """A job that has ended, as it travels from the agent where it ended to the master."""

    id: UUID
    definition_id: str
    lane: str
    priority: int
    run_at: datetime
    enqueued_at: datetime
    claim_no: int
    attempt: int
    failures: int
    losses: int
    placement: int
    data: str
    content_type: str | None
    metadata: str | None
    timeout_ms: int | None
    max_retries: int | None
    retry: str | None
    unique_key: str | None
    schedule_id: str | None
    occurrence_at: datetime | None
    started_at: datetime | None
    error_type: str | None
    error_message: str | None
    error_traceback: str | None
    status: JobStatus
    finished_at: datetime
    result: str | None
    worker_id: UUID | None

    @property
    def error(self) -> JobError | None:
        """The last error, if there was one."""
        if self.error_type is None:
            return None
        return JobError(self.error_type, self.error_message or "", self.error_traceback)

    def moved(self, by: timedelta) -> EndedJob:
        """See :meth:`JobCopy.moved`."""
        return self._replace(run_at=self.run_at + by, enqueued_at=self.enqueued_at + by) if by else self


@dataclass(frozen=True, slots=True)
class Shipment:
    """What an agent has to tell the master: jobs that ended there, records of runs, and jobs that wait on the
    master from now on, because they are due farther ahead than the agent keeps them."""

    ended: Sequence[EndedJob]
    attempts: Sequence[AttemptRecord]
    returned: Sequence[JobCopy] = ()

    def __len__(self) -> int:
        return len(self.ended) + len(self.attempts) + len(self.returned)
