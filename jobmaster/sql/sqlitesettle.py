"""Settle and claim on SQLite in few steps.

The driver gives the interpreter away for each step of a statement, and gets it back only when the other
threads let go of it: row by row, a settle of a hundred jobs beside a busy event loop would wait for that
hundreds of times. So many jobs go in as one JSON text and come out as one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ..domain.ids import uuid_of
from ..domain.job import ClaimedJob
from ..domain.verdict import StateChange
from ..payload import jsontext
from ..ports.transport import ClaimRequest
from .rawjobs import claimed_job
from .tables import to_micros

if TYPE_CHECKING:
    from .gateway import Tx

__all__ = ["claim", "succeed"]

try:
    import orjson
except ImportError:
    _rows_of: Callable[[str], list[list[Any]]] = json.loads
else:
    _rows_of = orjson.loads

_NUL = "\\u0000"
"""SQLite ends a text at this character of JSON."""


def claim(tx: Tx, request: ClaimRequest) -> list[ClaimedJob]:
    """See :meth:`.Dialect.claim`."""
    wanted = [p for p, n in sorted(request.limits.items(), reverse=True) if n > 0]
    buckets = {request.buckets[p] for p in wanted}
    if tx.row("peek", lane=request.lane, priorities=wanted) is None:
        return []
    held = tx.row("buckets_held", ids=list(buckets))
    if held is None or held[0] != len(buckets):
        return []
    now = time.time_ns() // 1000
    claimed: list[ClaimedJob] = []
    for priority in wanted:
        claimed += _claim_of(tx, request, priority, now)
    return claimed


def _claim_of(tx: Tx, request: ClaimRequest, priority: int, now: int) -> list[ClaimedJob]:
    bucket, after = request.buckets[priority], request.after.get(priority)
    ready: list[Any] = [request.lane, priority, now]
    if after is not None:
        ready += [to_micros(after[0]), after[1].bytes]
    ready.append(request.limits[priority])
    suffix = "" if after is None else "_after"
    tx.cursor.execute(tx.texts[f"ready{suffix}"].sql, ready)
    (text,) = tx.cursor.fetchone()
    rows = _rows_of(text)
    if not rows:
        return []
    # nobody else writes meanwhile: what is claimed are the same rows
    tx.cursor.execute(tx.texts[f"claim{suffix}"].sql, [bucket.bytes, *ready])
    rows.sort(key=_by_run_at_and_id)
    return [claimed_job(row, bucket, uuid_of(int(row[0], 16))) for row in rows]


def _by_run_at_and_id(row: list[Any]) -> tuple[int, str]:
    return row[6], row[0]


def succeed(tx: Tx, changes: Sequence[StateChange]) -> set[UUID]:
    """See :meth:`.Dialect.succeed`."""
    facts = jsontext.write(
        [
            [
                c.attempt,
                None if c.started_at is None else to_micros(c.started_at),
                None if c.finished_at is None else to_micros(c.finished_at),
                c.result,
                c.job.claim_no,
            ]
            for c in changes
        ]
    )
    worker = changes[0].worker_id
    if _NUL in facts or any(c.worker_id is not worker and c.worker_id != worker for c in changes):
        return _succeed_one_by_one(tx, changes)
    # not by ``UUID.bytes``, a property in Python
    ids = b"".join([c.job.id.int.to_bytes(16, "big") for c in changes])
    given = {
        "facts": facts,
        "ids": ids,
        "buckets": b"".join([c.job.bucket_id.int.to_bytes(16, "big") for c in changes]),
        "worker_id": None if worker is None else worker.bytes,
    }
    tx.cursor.execute(tx.texts["succeed_all"].sql, given)
    if tx.cursor.rowcount != len(changes):
        return _drop_owned(tx, changes)
    tx.cursor.execute(tx.texts["succeed_drop"].sql, given)
    return {c.job.id for c in changes}


def _succeed_one_by_one(tx: Tx, changes: Sequence[StateChange]) -> set[UUID]:
    rows = [
        (
            c.attempt,
            None if c.started_at is None else to_micros(c.started_at),
            None if c.finished_at is None else to_micros(c.finished_at),
            c.result,
            None if c.worker_id is None else c.worker_id.bytes,
            *_fence(c),
        )
        for c in changes
    ]
    tx.cursor.executemany(tx.texts["succeed_one"].sql, rows)
    return _drop_owned(tx, changes)


def _drop_owned(tx: Tx, changes: Sequence[StateChange]) -> set[UUID]:
    """Their ends are in the history, of those that were owned; now they leave the live table."""
    fenced = tx.rows("owned", ids=[c.job.id for c in changes])
    alive = {tuple(row[:3]) for row in fenced}
    tx.cursor.executemany(tx.texts["succeed_drop_one"].sql, [_fence(c) for c in changes])
    return {c.job.id for c in changes if _fence(c) in alive}


def _fence(change: StateChange) -> tuple[bytes, bytes, int]:
    job = change.job
    return job.id.bytes, job.bucket_id.bytes, job.claim_no
