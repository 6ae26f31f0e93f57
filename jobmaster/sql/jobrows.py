"""From table rows to the values that users see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..domain.copies import EndedJob, JobCopy
from ..domain.job import Attempt, AttemptOutcome, Job, JobError, Progress
from ..domain.occurrence import catchup_in
from ..domain.status import JobStatus, Priority
from .dialect import Dialect

if TYPE_CHECKING:
    from .database import Database, Role

__all__ = [
    "HISTORY_STATUS",
    "STATUS_CODE",
    "attempt_of",
    "copy_of",
    "ended_of",
    "finished_job",
    "live_job",
    "live_status",
]

STATUS_CODE = {JobStatus.SUCCEEDED: 1, JobStatus.FAILED: 2, JobStatus.CANCELLED: 3}
"""``history.status``."""
HISTORY_STATUS = {code: status for status, code in STATUS_CODE.items()}


def live_status(
    role: Role, claimed: bool, placed: bool, started: bool, failures: int, unsynced: bool
) -> JobStatus:
    """The status of a row of ``job``, see PROTOCOL section 11. ``placed``: it lives on an agent."""
    if claimed and not placed:
        return JobStatus.PROCESSING if started else JobStatus.ASSIGNED_TO_BUCKET
    if role == "master" and not placed:
        return JobStatus.HELD_ON_MASTER
    if failures:
        return JobStatus.RETRYING
    return JobStatus.SAVE_PENDING if unsynced and role == "agent" else JobStatus.READY


def live_job(database: Database, row: Sequence[Any]) -> Job:
    """A ``Job`` from ``JOB_COLUMNS["live"]``."""
    dialect = database.dialect
    bucket, fraction, message, worker, holder, unsynced, wanted = row[18:25]
    progress = None if fraction is None else Progress(fraction, message or "")
    status = live_status(
        database.role, bucket is not None, holder is not None, row[11] is not None, row[9], bool(unsynced)
    )
    agent = holder or (wanted if database.role == "master" else database.name)
    return Job(
        **_shared(dialect, row),
        status=status,
        progress=progress,
        agent_connection=agent,
        worker_id=None if worker is None else dialect.uuid(worker),
    )


def finished_job(database: Database, row: Sequence[Any]) -> Job:
    """A ``Job`` from ``JOB_COLUMNS["history"]``."""
    dialect = database.dialect
    status, finished_at, result, worker, agent = row[18:23]
    return Job(
        **_shared(dialect, row),
        status=HISTORY_STATUS[status],
        finished_at=dialect.instant(finished_at),
        result=None if result is None else json.loads(result),
        agent_connection=agent or database.agent_shown,
        worker_id=None if worker is None else dialect.uuid(worker),
    )


def copy_of(dialect: Dialect, row: Sequence[Any]) -> JobCopy:
    """A ``JobCopy`` from ``COPY_COLUMNS``."""
    values = list(row[:26])
    _convert(dialect, values, (4, 5, 19, 20, 25))
    return JobCopy._make(values)


def ended_of(dialect: Dialect, row: Sequence[Any]) -> EndedJob:
    """An ``EndedJob`` from ``ENDED_COLUMNS``."""
    values = list(row[:28])
    _convert(dialect, values, (4, 5, 19, 20, 25))
    values[24] = HISTORY_STATUS[values[24]]
    if values[27] is not None:
        values[27] = dialect.uuid(values[27])
    return EndedJob._make(values)


def _convert(dialect: Dialect, values: list[Any], instants: Sequence[int]) -> None:
    values[0] = dialect.uuid(values[0])
    for place in instants:
        if values[place] is not None:
            values[place] = dialect.instant(values[place])


def _shared(dialect: Dialect, row: Sequence[Any]) -> dict[str, Any]:
    metadata = {} if row[3] is None else json.loads(row[3])
    is_catchup, missed_count = catchup_in(metadata)
    return {
        "id": dialect.uuid(row[0]),
        "definition_id": row[1],
        "data": json.loads(row[2]),
        "metadata": metadata,
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
        "occurrence_at": None if row[17] is None else dialect.instant(row[17]),
        "is_catchup": is_catchup,
        "missed_count": missed_count,
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
