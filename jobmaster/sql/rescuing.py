"""Adopt what dead workers left: buckets past their lease, and claims whose bucket does not exist."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ..domain.job import AttemptOutcome, JobError
from ..domain.status import JobStatus, WorkerMode
from ..domain.verdict import AttemptRecord, lost_verdict
from ..ports.settlement import Rescue
from .dialect import Dialect
from .endings import Writes
from .gateway import Gateway, Tx

__all__ = ["close_buckets", "rescue"]

_BUCKETS = 20
"""Buckets that one transaction adopts."""


def rescue(gateway: Gateway, max_losses: int, limit: int) -> Rescue:
    """See :meth:`jobmaster.ports.Settlement.rescue`. Buckets are locked before jobs, and whatever somebody
    else holds is skipped, so that a settle and a rescue never wait for each other."""
    if not gateway.read("rescue_needed", lambda tx: tx.rows("rescue_needed")):
        # the usual answer costs one cheap look and no transaction
        return Rescue(0, 0, 0)
    for what, work in (("bucket_gone", _sweep), ("expire", _expire)):
        while gateway.transaction(what, work) == _BUCKETS:
            continue
    buckets = released = failed = 0
    while True:
        part, jobs = gateway.transaction("rescue", lambda tx: _adopt(tx, max_losses, limit))
        buckets, released, failed = buckets + part.buckets, released + part.released, failed + part.failed
        if part.buckets == 0 and jobs == 0:
            break
    while True:
        part, jobs = gateway.transaction("rescue_orphans", lambda tx: _orphans(tx, max_losses, limit))
        released, failed = released + part.released, failed + part.failed
        if jobs < limit:
            return Rescue(buckets, released, failed)


def _sweep(tx: Tx) -> int:
    """Delete what an earlier rescue has emptied."""
    found = [tx.dialect.uuid(row[0]) for row in tx.rows("bucket_ready", limit=_BUCKETS)]
    if found:
        tx.run("bucket_delete", ids=found)
    return len(found)


def _expire(tx: Tx) -> int:
    found = [tx.dialect.uuid(row[0]) for row in tx.rows("bucket_expired", limit=_BUCKETS)]
    if found:
        tx.run("bucket_status", status="lost", ids=found)
    return len(found)


def _adopt(tx: Tx, max_losses: int, limit: int) -> tuple[Rescue, int]:
    dialect = tx.dialect
    found = tx.rows("bucket_adoptable", limit=_BUCKETS)
    workers = {dialect.uuid(bucket): dialect.uuid(worker) for bucket, worker, _ in found}
    if not workers:
        return Rescue(0, 0, 0), 0
    # Whoever takes jobs off an agent runs none of them: nothing is charged.
    taken = {dialect.uuid(bucket) for bucket, _, mode in found if mode == WorkerMode.DRAIN.value}
    buckets = list(workers)
    tx.run("bucket_status", status="draining", ids=buckets)
    rows = tx.rows("claims_lock", ids=buckets, limit=limit)
    released, failed = _free(tx, rows, workers, taken, max_losses)
    left = {dialect.uuid(row[0]) for row in tx.rows("claims_left", ids=buckets)}
    empty = [bucket for bucket in buckets if bucket not in left]
    if empty:
        tx.run("bucket_status", status="ready_to_delete", ids=empty)
    return Rescue(len(empty), released, failed), len(rows)


def _orphans(tx: Tx, max_losses: int, limit: int) -> tuple[Rescue, int]:
    rows = tx.rows("claims_orphaned", limit=limit)
    if not rows:
        return Rescue(0, 0, 0), 0
    # Between the look and the lock a row may have been claimed anew, into a bucket that does exist.
    buckets = list({tx.dialect.uuid(row[1]) for row in rows})
    alive = {tx.dialect.uuid(row[0]) for row in tx.rows("buckets_there", ids=buckets)}
    orphans = [row for row in rows if tx.dialect.uuid(row[1]) not in alive]
    released, failed = _free(tx, orphans, {}, frozenset(), max_losses)
    return Rescue(0, released, failed), len(orphans)


def _free(
    tx: Tx,
    rows: Sequence[tuple[Any, ...]],
    workers: dict[UUID, UUID],
    taken: Collection[UUID],
    max_losses: int,
) -> tuple[int, int]:
    if not rows:
        return 0, 0
    dialect, now = tx.dialect, tx.now()
    writes, failed = Writes(), 0
    for row in rows:
        job_id, bucket, claim_no, attempt, failures, losses = row[:6]
        job_id, bucket = dialect.uuid(job_id), dialect.uuid(bucket)
        worker = workers.get(bucket)
        started_at = None if row[6] is None else dialect.instant(row[6])
        after, over = lost_verdict(
            losses, False if bucket in taken else _started(started_at, losses), max_losses
        )
        if after > losses:
            attempt += 1
            error = JobError("lost", "lost: its worker vanished while it held the job")
            writes.note(
                AttemptRecord(
                    job_id, claim_no, attempt, started_at, now, AttemptOutcome.LOST, error, worker, None
                )
            )
        counters = (attempt, failures, after)
        if row[7] is not None:
            writes.cancel(job_id, row[8], counters, now, started_at=started_at, worker_id=worker)
        elif over:
            failed += 1
            error = JobError("lost", f"lost: its worker vanished {after} times")
            writes.end(
                job_id,
                JobStatus.FAILED,
                counters,
                now,
                started_at=started_at,
                error=error,
                worker_id=worker,
            )
        else:
            _let_go(writes, dialect, job_id, counters, row)
    released = len(writes.releases)
    writes.write(tx)
    return released, failed


def _let_go(
    writes: Writes, dialect: Dialect, job_id: UUID, counters: tuple[int, int, int], row: tuple[Any, ...]
) -> None:
    unknown_since = None if row[10] is None else dialect.instant(row[10])
    writes.release(job_id, counters, None, unknown_since=unknown_since, wake=row[9])


def _started(started_at: datetime | None, losses: int) -> bool | None:
    if started_at is not None:
        return True
    # From the first loss on, a run writes a mark before it starts: no mark then means no run.
    return False if losses else None


def close_buckets(tx: Tx, wanted: Sequence[UUID]) -> int:
    """Give back, uncharged, what these buckets of a stopping worker still hold, and delete them."""
    dialect = tx.dialect
    found = tx.rows("bucket_lock", ids=wanted)
    if not found:
        return 0
    buckets = [dialect.uuid(row[0]) for row in found]
    worker_id = dialect.uuid(found[0][1])
    rows = tx.rows("claims_lock_all", ids=buckets)
    if rows:
        now, writes = tx.now(), Writes()
        for row in rows:
            job_id, counters = dialect.uuid(row[0]), (row[3], row[4], row[5])
            if row[7] is not None:
                writes.cancel(job_id, row[8], counters, now, worker_id=worker_id)
            else:
                _let_go(writes, dialect, job_id, counters, row)
        writes.write(tx)
    tx.run("bucket_delete", ids=buckets)
    return len(rows)
