"""What travels between the library and SQL Server: rows as JSON text, and answers as plain tuples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ..domain.job import ClaimedJob, NewJob
from ..domain.verdict import StateChange
from ..ports.transport import ClaimRequest
from .gateway import Tx
from .newjobs import delay_micros, options_of
from .rawjobs import claimed_job, raw_uuid
from .sqlserverstatements import NEW_JOB, SUCCEEDED
from .tables import to_micros

__all__ = [
    "Results",
    "as_json",
    "asked",
    "claimed_jobs",
    "ids_of",
    "new_jobs",
    "plain",
    "rows_text",
    "run",
    "succeeded",
]

_LONG_AGO, _NO_ID = -(2**63), "0" * 32


class Results:
    """A cursor of pyodbc that gives plain tuples, and reads every answer to its end.

    The error of a later statement of a batch is raised only when its answer is asked for.
    """

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    @property
    def description(self) -> Any:
        """As of the driver: ``None`` when there are no rows."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """How many rows the last statement touched."""
        count: int = self._cursor.rowcount
        return count

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Results:
        """Run a statement."""
        self._cursor.execute(sql, *values)
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row."""
        row = self._cursor.fetchone()
        return None if row is None else tuple(row)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows that are left, to the end of the last answer."""
        found = list(map(tuple, self._cursor.fetchall()))
        while self._cursor.nextset():
            continue
        return found

    def answers(self) -> list[list[tuple[Any, ...]]]:
        """The rows of every statement that gave some."""
        found: list[list[tuple[Any, ...]]] = []
        while True:
            if self._cursor.description is not None:
                found.append(list(map(tuple, self._cursor.fetchall())))
            if not self._cursor.nextset():
                return found

    def close(self) -> None:
        """Give it up."""
        self._cursor.close()


def run(tx: Tx, name: str, given: Mapping[str, Any]) -> list[list[tuple[Any, ...]]]:
    """Run a batch by name; the rows of every statement that gives some."""
    text = tx.texts[name]
    found: list[list[tuple[Any, ...]]] = tx.cursor.execute(
        text.sql, [given[parameter] for parameter in text.names]
    ).answers()
    return found


def as_json(value: Any) -> str:
    """Compact JSON text. Lone surrogates stay as they are, for the driver to refuse."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def plain(value: Any) -> Any:
    """A value as it stands in JSON."""
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return to_micros(value)
    return value.hex() if isinstance(value, bytes) else value


def rows_text(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    """Rows as the JSON text that :func:`.sqlserverstatements.rows` reads."""
    return as_json([dict(zip(columns, map(plain, row), strict=True)) for row in rows])


def succeeded(changes: Sequence[StateChange]) -> dict[str, Any]:
    """The parameters of plain successes."""
    rows = [
        (
            c.job.id,
            c.job.bucket_id,
            c.job.claim_no,
            c.attempt,
            c.started_at,
            c.finished_at,
            c.result,
            c.worker_id,
        )
        for c in changes
    ]
    return {"rows": rows_text([column for column, _ in SUCCEEDED], rows)}


def asked(claim: ClaimRequest) -> dict[str, Any]:
    """The parameters of a claim."""
    wanted = []
    for priority, limit in claim.limits.items():
        if limit > 0:
            after = claim.after.get(priority)
            wanted.append(
                {
                    "priority": int(priority),
                    "bucket_id": claim.buckets[priority].hex,
                    "n": limit,
                    "after_at": _LONG_AGO if after is None else to_micros(after[0]),
                    "after_id": _NO_ID if after is None else after[1].hex,
                }
            )
    buckets = len({one["bucket_id"] for one in wanted})
    return {"asked": as_json(wanted), "lane": claim.lane, "buckets": buckets}


def claimed_jobs(rows: list[tuple[Any, ...]]) -> list[ClaimedJob]:
    """The rows that a claim gave, by priority (highest first), due time and id."""
    rows.sort(key=lambda row: (-row[5], row[6], row[0]))
    return [claimed_job(row, raw_uuid(row[1])) for row in rows]


def ids_of(rows: list[tuple[Any, ...]]) -> set[UUID]:
    """The ids in their first column."""
    return {raw_uuid(row[0]) for row in rows}


def new_jobs(jobs: Sequence[NewJob]) -> str:
    """New jobs without keys, as text."""
    rows = [
        (
            job.id,
            job.definition_id,
            job.lane,
            int(job.priority),
            job.run_at,
            delay_micros(job.delay),
            job.data,
            *options_of(job),
            int(job.recheck),
        )
        for job in jobs
    ]
    return rows_text([column for column, _ in NEW_JOB], rows)
