"""From table rows to the values that users see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..domain.job import Attempt, AttemptOutcome, Job, JobError, Progress
from ..domain.status import JobStatus, Priority
from .dialect import Dialect

__all__ = ["HISTORY_STATUS", "STATUS_CODE", "attempt_of", "finished_job", "live_job", "live_status"]

STATUS_CODE = {JobStatus.SUCCEEDED: 1, JobStatus.FAILED: 2, JobStatus.CANCELLED: 3}
"""``history.status``."""
HISTORY_STATUS = {code: status for status, code in STATUS_CODE.items()}


def live_status(claimed: bool, started: bool, failures: int) -> JobStatus:
    """The status of a row of ``job`` in a standalone database."""
    if claimed:
        return JobStatus.PROCESSING if started else JobStatus.ASSIGNED_TO_BUCKET
    return JobStatus.RETRYING if failures else JobStatus.READY


def live_job(dialect: Dialect, row: Sequence[Any], agent: str) -> Job:
    """A ``Job`` from ``JOB_COLUMNS["live"]``."""
    bucket, fraction, message, worker = row[17:21]
    progress = None if fraction is None else Progress(fraction, message or "")
    status = live_status(bucket is not None, row[11] is not None, row[9])
    return Job(
        **_shared(dialect, row),
        status=status,
        progress=progress,
        agent_connection=agent,
        worker_id=None if worker is None else dialect.uuid(worker),
    )


def finished_job(dialect: Dialect, row: Sequence[Any], agent: str) -> Job:
    """A ``Job`` from ``JOB_COLUMNS["history"]``."""
    status, finished_at, result, worker = row[17:21]
    return Job(
        **_shared(dialect, row),
        status=HISTORY_STATUS[status],
        finished_at=dialect.instant(finished_at),
        result=None if result is None else json.loads(result),
        agent_connection=agent,
        worker_id=None if worker is None else dialect.uuid(worker),
    )


def _shared(dialect: Dialect, row: Sequence[Any]) -> dict[str, Any]:
    return {
        "id": dialect.uuid(row[0]),
        "definition_id": row[1],
        "data": json.loads(row[2]),
        "metadata": {} if row[3] is None else json.loads(row[3]),
        "lane": row[4],
        "priority": Priority(row[5]),
        "scheduled_at": dialect.instant(row[6]),
        "enqueued_at": dialect.instant(row[7]),
        "attempt": row[8],
        "failures": row[9],
        "losses": row[10],
        "started_at": None if row[11] is None else dialect.instant(row[11]),
        "error": None if row[12] is None else JobError(row[12], row[13] or "", row[14]),
        "schedule_id": row[15],
        "unique_key": row[16],
    }


def attempt_of(dialect: Dialect, row: Sequence[Any]) -> Attempt:
    """An ``Attempt`` from the statement ``attempts``."""
    return Attempt(
        number=row[0],
        started_at=None if row[1] is None else dialect.instant(row[1]),
        finished_at=None if row[2] is None else dialect.instant(row[2]),
        outcome=AttemptOutcome(row[3]),
        error=None if row[4] is None else JobError(row[4], row[5] or "", row[6]),
        worker_id=None if row[7] is None else dialect.uuid(row[7]),
        log=row[8],
    )
