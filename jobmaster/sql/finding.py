"""Find and count jobs: the only statements put together at run time."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from ..domain.job import Job, JobFilter
from ..domain.status import JobStatus
from .database import Database, Role
from .dialect import Dialect
from .gateway import Tx
from .jobrows import STATUS_CODE, finished_job, live_job
from .statements import JOB_COLUMNS, JOB_FROM

__all__ = ["count_jobs", "ended_ids", "find_jobs"]

_PLACED = "EXISTS (SELECT 1 FROM {table:agent} h WHERE h.store_id = j.bucket_id)"
"""Lives on an agent."""
_CLAIMED = f"j.bucket_id IS NOT NULL AND NOT {_PLACED}"
_LIVE_STATUS: dict[Role, dict[JobStatus, str]] = {
    "standalone": {
        JobStatus.READY: f"(j.bucket_id IS NULL OR {_PLACED}) AND j.failures = 0",
        JobStatus.RETRYING: f"(j.bucket_id IS NULL OR {_PLACED}) AND j.failures > 0",
    },
    "master": {
        JobStatus.HELD_ON_MASTER: "j.bucket_id IS NULL",
        JobStatus.READY: f"{_PLACED} AND j.failures = 0",
        JobStatus.RETRYING: f"{_PLACED} AND j.failures > 0",
    },
    "agent": {
        JobStatus.SAVE_PENDING: "j.bucket_id IS NULL AND j.failures = 0 AND j.unsynced = 1",
        JobStatus.READY: "j.bucket_id IS NULL AND j.failures = 0 AND j.unsynced = 0",
        JobStatus.RETRYING: "j.bucket_id IS NULL AND j.failures > 0",
    },
}
_CLAIMED_STATUS = {
    JobStatus.ASSIGNED_TO_BUCKET: f"{_CLAIMED} AND j.started_at IS NULL",
    JobStatus.PROCESSING: f"{_CLAIMED} AND j.started_at IS NOT NULL",
}
_PLAIN = {
    "lane": "{text:lane}",
    "definition_id": "{text:definition_id}",
    "schedule_id": "{text:schedule_id}",
    "scheduled_from": "j.run_at >= :scheduled_from",
    "scheduled_to": "j.run_at < :scheduled_to",
}


def find_jobs(
    database: Database,
    criteria: JobFilter,
    limit: int,
    after: UUID | None,
    without: Collection[UUID] = (),
    timeout: float | None = None,
) -> list[Job]:
    """Live and finished jobs, newest id first; without those that live on the agents ``without``."""
    makers = {"live": live_job, "history": finished_job}

    def work(tx: Tx) -> list[Job]:
        found: dict[UUID, Job] = {}
        for kind, make in makers.items():
            where = _conditions(database.dialect, kind, criteria, database.role, without)
            if where is None:
                continue
            conditions, values = where
            if after is not None:
                conditions.append("j.id < :after")
                values["after"] = after
            template = (
                f"SELECT {{top:most}}{JOB_COLUMNS[kind]} FROM {JOB_FROM[kind]}{_where(conditions)} "
                "ORDER BY j.id DESC {limit:most}"
            )
            for row in tx.query(template, most=limit, **values):
                # A job that ends between the two looks is met in both: its end is the newer truth.
                job = make(database, row)
                found[job.id] = job
        return sorted(found.values(), key=lambda job: job.id, reverse=True)[:limit]

    return database.gateway.read("find_jobs", work, timeout=timeout)


def count_jobs(
    database: Database,
    criteria: JobFilter,
    without: Collection[UUID] = (),
    excluding: Collection[UUID] = (),
    timeout: float | None = None,
) -> int:
    """How many live and finished jobs fit; without those that live on the agents ``without``, and without
    the finished ones of ``excluding``."""

    counts: list[str] = []
    values: dict[str, Any] = {}
    for kind, table in JOB_FROM.items():
        where = _conditions(database.dialect, kind, criteria, database.role, without)
        if where is not None:
            conditions, given = where
            counts.append(f"(SELECT count(*) FROM {table}{_where(conditions)})")
            if kind == "history" and excluding:
                # taken off again: to leave them out, a plan that cannot know their number compares each
                # finished job with every one of them
                met = _where([*conditions, "j.id {in:excluding}"])
                counts[-1] = f"({counts[-1]} - (SELECT count(*) FROM {table}{met}))"
                given["excluding"] = list(excluding)
            values |= given
    if not counts:
        return 0
    # one statement sees one state: a job that ends meanwhile is counted in one of the two places
    template = f"SELECT {' + '.join(counts)}"

    def work(tx: Tx) -> int:
        count: int = tx.query(template, **values)[0][0]
        return count

    return database.gateway.read("count_jobs", work, timeout=timeout)


def ended_ids(database: Database, criteria: JobFilter, most: int, timeout: float | None = None) -> list[UUID]:
    """The ids of up to ``most`` finished jobs that fit."""
    where = _conditions(database.dialect, "history", criteria, database.role, ())
    if where is None:
        return []
    conditions, values = where
    template = (
        f"SELECT {{top:most}}j.id FROM {JOB_FROM['history']}{_where(conditions)} ORDER BY j.id {{limit:most}}"
    )
    rows = database.gateway.read(
        "ended_ids", lambda tx: tx.query(template, most=most, **values), timeout=timeout
    )
    return [database.dialect.uuid(row[0]) for row in rows]


def _where(conditions: list[str]) -> str:
    return " WHERE " + " AND ".join(conditions) if conditions else ""


def _conditions(
    dialect: Dialect, kind: str, criteria: JobFilter, role: Role, without: Collection[UUID]
) -> tuple[list[str], dict[str, Any]] | None:
    """Conditions and values for one of the two tables; ``None`` when no row of it can fit."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    if criteria.status:
        if kind == "live":
            known = {**_LIVE_STATUS[role], **_CLAIMED_STATUS}
            forms = [f"({known[s]})" for s in criteria.status if s in known]
            if not forms:
                return None
            conditions.append(f"({' OR '.join(forms)})")
        else:
            codes = sorted({STATUS_CODE[s] for s in criteria.status if s in STATUS_CODE})
            if not codes:
                return None
            # In figures, so that the planner can see that the index of unsuccessful jobs covers it.
            conditions.append(f"j.status IN ({', '.join(map(str, codes))})")
            if 1 not in codes:
                conditions.append("j.status <> 1")
    if kind == "live" and without:
        # what is on its way to an agent may not have arrived there
        conditions.append("(j.bucket_id IS NULL OR j.unsynced = 1 OR NOT j.bucket_id {in:without})")
        values["without"] = list(without)
    for name, condition in _PLAIN.items():
        value = getattr(criteria, name)
        if value is not None:
            conditions.append(condition)
            values[name] = value
    for number, (key, value) in enumerate(criteria.metadata.items()):
        condition, parameters = dialect.same_member(number, key, value)
        conditions.append(condition)
        values |= parameters
    return conditions, values
