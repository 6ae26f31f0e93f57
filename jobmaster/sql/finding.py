"""Find and count jobs: the only statements put together at run time."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from ..domain.job import Job, JobFilter
from ..domain.status import JobStatus
from .database import Database
from .dialect import Dialect
from .gateway import Tx
from .jobrows import STATUS_CODE, finished_job, live_job
from .jsonsame import json_member
from .statements import JOB_COLUMNS

__all__ = ["count_jobs", "find_jobs"]

_FROM = {
    "live": "{table:job} j LEFT JOIN {table:bucket} b ON b.id = j.bucket_id",
    "history": "{table:history} j",
}
_METADATA = 3
"""Its place in ``JOB_COLUMNS``."""
_PAGE = 200
_LIVE_STATUS = {
    JobStatus.READY: "j.bucket_id IS NULL AND j.failures = 0",
    JobStatus.RETRYING: "j.bucket_id IS NULL AND j.failures > 0",
    JobStatus.ASSIGNED_TO_BUCKET: "j.bucket_id IS NOT NULL AND j.started_at IS NULL",
    JobStatus.PROCESSING: "j.bucket_id IS NOT NULL AND j.started_at IS NOT NULL",
}
_PLAIN = {
    "lane": "j.lane = :lane",
    "definition_id": "{text_is:definition_id}",
    "schedule_id": "{text_is:schedule_id}",
    "scheduled_from": "j.run_at >= :scheduled_from",
    "scheduled_to": "j.run_at < :scheduled_to",
}


def find_jobs(database: Database, criteria: JobFilter, limit: int, after: UUID | None) -> list[Job]:
    """Live and finished jobs, newest id first."""
    gateway, dialect = database.gateway, database.dialect
    makers = {"live": live_job, "history": finished_job}

    def work(tx: Tx) -> list[Job]:
        found: dict[UUID, Job] = {}
        for kind, make in makers.items():
            where = _conditions(kind, criteria)
            if where is None:
                continue
            conditions, values = where
            if after is not None:
                conditions.append("j.id < :after")
                values["after"] = after
            if nested := _nested(dialect, criteria):
                rows = _search(tx, kind, conditions, values, nested, limit)
            else:
                rows = tx.query(_newest(kind, conditions), most=limit, **values)
            for row in rows:
                # A job that ends between the two looks is met in both: its end is the newer truth.
                job = make(dialect, row, database.name)
                found[job.id] = job
        return sorted(found.values(), key=lambda job: job.id, reverse=True)[:limit]

    return gateway.read("find_jobs", work)


def count_jobs(database: Database, criteria: JobFilter) -> int:
    """How many live and finished jobs fit."""

    def work(tx: Tx) -> int:
        total = 0
        for kind, table in (("live", "{table:job} j"), ("history", "{table:history} j")):
            where = _conditions(kind, criteria)
            if where is not None:
                conditions, values = where
                if nested := _nested(tx.dialect, criteria):
                    query = f"SELECT j.metadata FROM {table}{_where(conditions)}"
                    total += sum(_fits(row[0], nested) for row in tx.query(query, **values))
                    continue
                total += tx.query(f"SELECT count(*) FROM {table}{_where(conditions)}", **values)[0][0]
        return total

    return database.gateway.read("count_jobs", work)


def _nested(dialect: Dialect, criteria: JobFilter) -> dict[str, str]:
    """Lists and objects that the engine does not compare itself, as JSON text."""
    if dialect.compares_json:
        return {}
    return {
        key: json.dumps(value, ensure_ascii=False)
        for key, value in criteria.metadata.items()
        if isinstance(value, (dict, list, tuple))
    }


def _fits(metadata: str | None, nested: dict[str, str]) -> bool:
    return all(json_member(metadata, key, wanted) for key, wanted in nested.items())


def _search(
    tx: Tx, kind: str, conditions: list[str], values: dict[str, Any], nested: dict[str, str], limit: int
) -> list[tuple[Any, ...]]:
    """The first rows that fit, looked for page by page."""
    found: list[tuple[Any, ...]] = []
    below: dict[str, Any] = {}
    while True:
        further = [*conditions, "j.id < :below"] if below else conditions
        page = tx.query(_newest(kind, further), most=max(limit, _PAGE), **values, **below)
        found += [row for row in page if _fits(row[_METADATA], nested)]
        if len(found) >= limit or len(page) < max(limit, _PAGE):
            return found[:limit]
        below = {"below": tx.dialect.uuid(page[-1][0])}


def _newest(kind: str, conditions: list[str]) -> str:
    return (
        f"SELECT {{top:most}}{JOB_COLUMNS[kind]} FROM {_FROM[kind]}{_where(conditions)} "
        "ORDER BY j.id DESC {limit:most}"
    )


def _where(conditions: list[str]) -> str:
    return " WHERE " + " AND ".join(conditions) if conditions else ""


def _conditions(kind: str, criteria: JobFilter) -> tuple[list[str], dict[str, Any]] | None:
    """Conditions and values for one of the two tables; ``None`` when no row of it can fit."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    if criteria.status:
        if kind == "live":
            forms = [f"({_LIVE_STATUS[s]})" for s in criteria.status if s in _LIVE_STATUS]
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
    for name, condition in _PLAIN.items():
        value = getattr(criteria, name)
        if value is not None:
            conditions.append(condition)
            values[name] = value
    for number, (key, value) in enumerate(criteria.metadata.items()):
        conditions.append(f"{{member:{number}}}")
        values[f"key_{number}"] = key
        values[f"value_{number}"] = json.dumps(value, ensure_ascii=False)
    return conditions, values
