"""Rows in memory as jobs that travel, and back."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from ...domain.copies import EndedJob, JobCopy
from ...domain.job import JobError, NewJob
from .database import Row

__all__ = ["copy_of", "ended_of", "row_of"]

_MILLISECOND = timedelta(milliseconds=1)


def copy_of(row: Row) -> JobCopy:
    """A live row on its way to another store."""
    return JobCopy._make((*_facts(row), row.new.agent, row.unknown_since))


def ended_of(row: Row) -> EndedJob:
    """A finished row on its way to the master."""
    assert row.status is not None
    assert row.finished_at is not None
    return EndedJob._make((*_facts(row), row.status, row.finished_at, row.result, row.worker_id))


def _facts(row: Row) -> tuple[object, ...]:
    new, error = row.new, row.error
    return (
        new.id,
        new.definition_id,
        new.lane,
        int(new.priority),
        row.run_at,
        row.enqueued_at,
        row.claim_no,
        row.attempt,
        row.failures,
        row.losses,
        row.placement,
        new.data,
        None,
        new.metadata,
        None if new.timeout is None else new.timeout // _MILLISECOND,
        new.max_retries,
        new.retry,
        new.unique_key,
        new.schedule_id,
        new.occurrence_at,
        row.started_at,
        None if error is None else error.type,
        None if error is None else error.message,
        None if error is None else error.traceback,
    )


def row_of(copy: JobCopy | EndedJob, *, recheck: bool = False, holder: UUID | None = None) -> Row:
    """The row of a job that has arrived; ``holder`` is the agent on which it lives."""
    timeout = None if copy.timeout_ms is None else timedelta(milliseconds=copy.timeout_ms)
    new = NewJob(
        copy.id,
        copy.definition_id,
        copy.data,
        copy.lane,
        copy.priority,
        copy.run_at,
        metadata=copy.metadata,
        timeout=timeout,
        max_retries=copy.max_retries,
        retry=copy.retry,
        unique_key=copy.unique_key,
        schedule_id=copy.schedule_id,
        occurrence_at=copy.occurrence_at,
        recheck=recheck,
    )
    error = None
    if copy.error_type is not None:
        error = JobError(copy.error_type, copy.error_message or "", copy.error_traceback)
    row = Row(
        new,
        copy.run_at,
        copy.enqueued_at,
        holder,
        copy.claim_no,
        copy.attempt,
        copy.failures,
        copy.losses,
        copy.started_at,
        error=error,
        placement=copy.placement,
    )
    if isinstance(copy, JobCopy):
        row.new, row.unknown_since = new._replace(agent=copy.agent), copy.unknown_since
    else:
        row.status, row.finished_at = copy.status, copy.finished_at
        row.result, row.worker_id = copy.result, copy.worker_id
    return row
