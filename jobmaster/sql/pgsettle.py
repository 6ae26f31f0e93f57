"""Settle and claim on PostgreSQL: the values of the hot statements, and both in one trip to the server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

from ..domain.job import ClaimedJob
from ..domain.verdict import StateChange
from ..ports.transport import ClaimRequest
from . import pgarrays
from .dialect import Text
from .gateway import Tx
from .pgtrip import HotStatement, trip
from .plainsettle import PlainOutcome, PlainSettle, refused_of

__all__ = ["claim_values", "claimed", "in_one_trip", "owned", "succeed_values"]

_NO_CURSOR = UUID(int=0)


def claim_values(claim: ClaimRequest) -> dict[str, Any]:
    """The parameters of the statement ``claim``."""
    priorities = [p for p, n in claim.limits.items() if n > 0]
    after = [claim.after.get(p) for p in priorities]
    buckets = [claim.buckets[p] for p in priorities]
    return {
        "lane": claim.lane,
        "priority": pgarrays.smallints(priorities),
        "bucket": pgarrays.uuids(buckets),
        "count": pgarrays.ints([claim.limits[p] for p in priorities]),
        "after_at": pgarrays.cursors([a[0] if a else None for a in after]),
        "after_id": pgarrays.uuids([a[1] if a else _NO_CURSOR for a in after]),
        "buckets": len(set(buckets)),
    }


def succeed_values(changes: Sequence[StateChange]) -> dict[str, Any]:
    """The parameters of the statement ``succeed``."""
    jobs = [c.job for c in changes]
    return {
        "id": pgarrays.uuids([j.id for j in jobs]),
        "bucket_id": pgarrays.uuids([j.bucket_id for j in jobs]),
        "claim_no": pgarrays.ints([j.claim_no for j in jobs]),
        "attempt": pgarrays.ints([c.attempt for c in changes]),
        "started_at": pgarrays.instants([c.started_at for c in changes]),
        "finished_at": pgarrays.instants([c.finished_at for c in changes]),
        "result": pgarrays.texts([c.result for c in changes]),
        "worker_id": pgarrays.uuids([c.worker_id for c in changes]),
    }


def owned(cursor: Any, changes: Sequence[StateChange]) -> set[UUID]:
    """The ids that ``succeed`` found still owned."""
    if cursor.rowcount == len(changes):
        return {change.job.id for change in changes}
    return {row[0] for row in cursor.fetchall()}


def claimed(cursor: Any) -> list[ClaimedJob]:
    """The rows of ``claim``."""
    return _utc([ClaimedJob._make(row) for row in cursor.fetchall()])


def _utc(found: list[ClaimedJob]) -> list[ClaimedJob]:
    if found and found[0].run_at.tzinfo is not UTC:
        # Behind a pooler the session keeps its own time zone.
        return [_in_utc(job) for job in found]
    return found


def in_one_trip(changes: Sequence[StateChange], claim: ClaimRequest | None) -> PlainSettle:
    """Settle plain successes, claim, and read the clock, in one transaction and one trip."""

    def run(tx: Tx) -> PlainOutcome:
        statements = [(_hot(tx, "succeed"), succeed_values(changes))]
        if claim is not None:
            statements.append((_hot(tx, "claim"), claim_values(claim)))
        statements.append((_hot(tx, "now"), {}))
        done, *found, clock = trip(tx.connection, statements)
        refused: frozenset[UUID] = frozenset()
        if done.touched != len(changes):
            refused = refused_of(changes, {row[0] for row in done.rows()})
        jobs = [job for answer in found for job in answer.rows(ClaimedJob._make)]
        return refused, _utc(jobs), tx.dialect.instant(clock.rows()[0][0])

    return PlainSettle(run, _as_it_is, whole=True)


def _as_it_is(outcome: PlainOutcome) -> PlainOutcome:
    return outcome


_hot_statements: dict[Text, HotStatement] = {}


def _hot(tx: Tx, name: str) -> HotStatement:
    text = tx.texts[name]
    known = _hot_statements.get(text)
    if known is None:
        known = _hot_statements[text] = HotStatement.of(name, text)
    return known


def _in_utc(job: ClaimedJob) -> ClaimedJob:
    instants = ("run_at", "enqueued_at", "unknown_since", "occurrence_at")
    moved = {name: getattr(job, name).astimezone(UTC) for name in instants if getattr(job, name) is not None}
    return job._replace(**moved)
