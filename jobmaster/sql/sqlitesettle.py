"""Settle and claim on SQLite in few steps.

The driver gives the interpreter away for each step of a statement, and gets it back only when the other
threads let go of it: row by row, a settle of a hundred jobs beside a busy event loop would wait for that
hundreds of times. So many jobs go in as one JSON text and come out as one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from ..domain.ids import uuid_of
from ..domain.job import ClaimedJob
from ..domain.verdict import StateChange
from ..payload import jsontext
from ..ports.transport import ClaimRequest
from .plainsettle import PlainOutcome, PlainSettle, refused_of
from .rawjobs import claimed_job
from .tables import from_micros, to_micros

if TYPE_CHECKING:
    from .gateway import Tx

__all__ = ["claim", "plain_settle", "succeed"]

try:
    import orjson
except ImportError:
    _rows_of: Callable[[str], list[list[Any]]] = json.loads
else:
    _rows_of = orjson.loads

_NOTHING = "[]"
_NUL = "\\u0000"
"""SQLite ends a text at this character of JSON."""


_Rows: TypeAlias = list[tuple[UUID, str]]
"""What was claimed, as JSON, for each bucket."""


def claim(tx: Tx, request: ClaimRequest) -> list[ClaimedJob]:
    """See :meth:`.Dialect.claim`."""
    return _jobs_of(_claim(tx, request))


def plain_settle(changes: Sequence[StateChange], claim: ClaimRequest | None) -> PlainSettle:
    """See :meth:`.Dialect.plain_settle`. While one settle has the file to itself another one makes its texts
    ready, and a third reads what it was given."""
    facts = _facts_of(changes)

    def run(tx: Tx) -> tuple[set[UUID] | None, _Rows, int]:
        owned = _succeed(tx, changes, facts)
        rows = [] if claim is None else _claim(tx, claim)
        tx.reach("settle.written")
        return owned, rows, time.time_ns() // 1000

    def read(found: tuple[set[UUID] | None, _Rows, int]) -> PlainOutcome:
        owned, rows, now = found
        refused = frozenset() if owned is None else refused_of(changes, owned)
        return refused, _jobs_of(rows), from_micros(now)

    return PlainSettle(run, read)


def _claim(tx: Tx, request: ClaimRequest) -> _Rows:
    wanted = [p for p, n in sorted(request.limits.items(), reverse=True) if n > 0]
    buckets = {request.buckets[p] for p in wanted}
    found = tx.row("claimable", ids=list(buckets), lane=request.lane, priorities=wanted)
    if found != (len(buckets), 1):
        return []
    now = time.time_ns() // 1000
    return [(request.buckets[priority], _claim_of(tx, request, priority, now)) for priority in wanted]


def _claim_of(tx: Tx, request: ClaimRequest, priority: int, now: int) -> str:
    bucket, after = request.buckets[priority], request.after.get(priority)
    ready: list[Any] = [request.lane, priority, now]
    if after is not None:
        ready += [to_micros(after[0]), after[1].bytes]
    ready.append(request.limits[priority])
    suffix = "" if after is None else "_after"
    tx.cursor.execute(tx.texts[f"ready{suffix}"].sql, ready)
    text: str = tx.cursor.fetchone()[0]
    if text != _NOTHING:
        # nobody else writes meanwhile: what is claimed are the same rows
        tx.cursor.execute(tx.texts[f"claim{suffix}"].sql, [bucket.bytes, *ready])
    return text


def _jobs_of(found: _Rows) -> list[ClaimedJob]:
    jobs: list[ClaimedJob] = []
    for bucket, text in found:
        rows = _rows_of(text)
        rows.sort(key=_by_run_at_and_id)
        jobs += [claimed_job(row, bucket, uuid_of(int(row[0], 16))) for row in rows]
    return jobs


def _by_run_at_and_id(row: list[Any]) -> tuple[int, str]:
    return row[6], row[0]


def succeed(tx: Tx, changes: Sequence[StateChange]) -> set[UUID]:
    """See :meth:`.Dialect.succeed`."""
    owned = _succeed(tx, changes, _facts_of(changes))
    return {c.job.id for c in changes} if owned is None else owned


def _facts_of(changes: Sequence[StateChange]) -> dict[str, Any] | None:
    """The values of ``succeed_all``; ``None`` when these have to go one by one."""
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
        return None
    return {
        "facts": facts,
        # not by ``UUID.bytes``, a property in Python
        "ids": b"".join([c.job.id.int.to_bytes(16, "big") for c in changes]),
        "buckets": b"".join([c.job.bucket_id.int.to_bytes(16, "big") for c in changes]),
        "worker_id": None if worker is None else worker.bytes,
    }


def _succeed(tx: Tx, changes: Sequence[StateChange], facts: dict[str, Any] | None) -> set[UUID] | None:
    """The ids that were still owned; ``None`` when all were, as always but after a loss."""
    if facts is None:
        return _succeed_one_by_one(tx, changes)
    tx.cursor.execute(tx.texts["succeed_all"].sql, facts)
    if tx.cursor.rowcount != len(changes):
        return _drop_owned(tx, changes)
    tx.cursor.execute(tx.texts["succeed_drop"].sql, facts)
    return None


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
