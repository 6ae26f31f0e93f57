"""The side of an SQL agent that faces the master: what has ended goes there, what is to run comes from there.

An outcome is written on the agent together with the end of its claim, in one transaction; the agent's own
``history`` and ``attempt`` are the outbox from which it is shipped to the master. So a claim and its outcome
never part, whether the master answers or not, and every crash in between only ships again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from ..domain.copies import JobCopy, Mirror, Shipment
from ..domain.job import AttemptOutcome, JobError
from ..domain.status import WorkerMode
from ..domain.verdict import AttemptRecord
from ..ports.transport import BucketInfo, TakeRequest
from ..sql.columns import COPY_COLUMNS
from ..sql.database import Database
from ..sql.gateway import Gateway, Tx
from ..sql.jobrows import copy_of, ended_of
from ..sql.newjobs import lanes_of
from .skew import Skew

__all__ = ["SqlMoves"]

T = TypeVar("T")
_MICROSECOND = timedelta(microseconds=1)


class _Undelivered(Exception):
    """Carries what the other store raised out of a transaction of this one, which must not be tried again."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class SqlMoves:
    """The part of ``AgentTransport`` that moves jobs to and from the master."""

    _database: Database
    _skew: Skew

    # --- to the master ------------------------------------------------------------------------------

    def ship(self, limit: int, deliver: Callable[[Shipment], None]) -> int:
        gateway = self._database.gateway
        if gateway.dialect.single_writer:
            # An open transaction would block the whole file while the master is asked.
            shipment = gateway.read("ship", lambda tx: self._outbox(tx, limit))
            if len(shipment):
                deliver(shipment)
                gateway.transaction("shipped", lambda tx: _forget(tx, shipment))
            return len(shipment)

        def work(tx: Tx) -> int:
            shipment = self._outbox(tx, limit)
            if len(shipment):
                _outside(deliver, shipment)
                _forget(tx, shipment)
            return len(shipment)

        return _through(gateway, "ship", work)

    def _outbox(self, tx: Tx, limit: int) -> Shipment:
        dialect, back = tx.dialect, -self._skew.ahead
        # Attempts first: by the time a job has ended on the master, its runs are known there.
        attempts = [_record(tx, row) for row in tx.rows("attempts_lock", limit=limit)]
        ended = [ended_of(dialect, row).moved(back) for row in tx.rows("outbox_lock", limit=limit)]
        return Shipment(ended, attempts)

    def save(
        self,
        age: timedelta,
        limit: int,
        deliver: Callable[[Sequence[JobCopy]], None],
        retract: Callable[[Collection[UUID]], None],
    ) -> int:
        gateway = self._database.gateway
        back = -self._skew.ahead

        def unsaved(tx: Tx) -> list[JobCopy]:
            rows = tx.rows("unsynced_lock", age=age // _MICROSECOND, limit=limit)
            return [copy_of(tx.dialect, row).moved(back) for row in rows]

        if gateway.dialect.single_writer:
            copies = gateway.read("save", unsaved)
            if copies:
                deliver(copies)
                ids = [copy.id for copy in copies]
                left = gateway.transaction("saved", lambda tx: _mark_saved(tx, ids))
                if gone := set(ids) - left:
                    retract(gone)
            return len(copies)

        def work(tx: Tx) -> int:
            # The rows stay locked, so that none of them can end on the master before its mirror is there.
            copies = unsaved(tx)
            if copies:
                _outside(deliver, copies)
                tx.run("synced", ids=[copy.id for copy in copies])
            return len(copies)

        return _through(gateway, "save", work)

    def unshipped(self) -> tuple[int, int]:
        row = self._database.gateway.read("unshipped", lambda tx: tx.rows("outbox_size"))[0]
        return int(row[0]), int(row[1])

    # --- from the master ----------------------------------------------------------------------------

    def receive(self, copies: Sequence[JobCopy]) -> None:
        ahead = self._skew.ahead
        gateway = self._database.gateway

        def work(tx: Tx) -> None:
            uuid = tx.dialect.uuid
            ids = [copy.id for copy in copies]
            ended = {uuid(row[0]): row[1] for row in tx.rows("ended_there", ids=ids)}
            there = {uuid(row[0]): (row[1], row[2]) for row in tx.rows("copies_lock", ids=ids)}
            taken = _taken(tx, {uuid(holder) for holder, _ in there.values() if holder is not None})
            rows: list[tuple[object, ...]] = []
            old: list[UUID] = []
            shipped: list[UUID] = []
            for copy in copies:
                if copy.id in ended:
                    if ended[copy.id] >= copy.placement:
                        continue  # it has ended here since, and the master will hear of it
                    shipped.append(copy.id)  # the end of an earlier life, which the master knows
                holder, placement = there.get(copy.id, (None, -1))
                if copy.id in there and placement >= copy.placement:
                    continue
                if holder is not None and uuid(holder) not in taken:
                    tx.run("job_overtaken", id=copy.id, placement=copy.placement)
                    continue
                if copy.id in there:
                    old.append(copy.id)
                rows.append((*copy.moved(ahead), None, None, 1, 0))
            if old:
                tx.run("job_drop", ids=old)
            if shipped:
                tx.run("history_drop", ids=shipped)
            tx.bulk("job_put", rows)
            tx.dialect.notify(tx, lanes_of(copies))

        gateway.transaction("receive", work)

    def absent(self, mirrors: Sequence[Mirror]) -> frozenset[UUID]:
        ids = [mirror.id for mirror in mirrors]

        def work(tx: Tx) -> frozenset[UUID]:
            # the outbox last: a job that ends between the two looks is met there, or the master knows it
            there = {tx.dialect.uuid(row[0]) for row in tx.rows("jobs_there", ids=ids)}
            there |= {tx.dialect.uuid(row[0]) for row in tx.rows("ended_there", ids=ids)}
            return frozenset(ids) - there

        return self._database.gateway.read("absent", work) if ids else frozenset()

    # --- back to the master -------------------------------------------------------------------------

    def take(self, bucket: BucketInfo, lease: timedelta, request: TakeRequest) -> list[JobCopy]:
        conditions = ["bucket_id IS NULL"]
        values: dict[str, object] = {"limit": request.limit}
        if request.lane is not None:
            conditions.append("lane = :lane")
            values["lane"] = request.lane
        if request.priority is not None:
            conditions.append("priority = :priority")
            values["priority"] = request.priority
        if request.due_after is not None:
            conditions.append("run_at > {now} + {span:due_after}")
            values["due_after"] = request.due_after // _MICROSECOND
        if request.job_ids:
            conditions.append("id {in:ids}")
            values["ids"] = list(request.job_ids)
        template = (
            f"SELECT {{top:limit}}{COPY_COLUMNS} FROM {{table:job}}{{skips:job}} "
            f"WHERE {' AND '.join(conditions)} "
            "ORDER BY lane, priority, run_at, id {limit:limit} {lock_skip}"
        )

        def work(tx: Tx) -> list[JobCopy]:
            back = -self._skew.ahead
            found = [copy_of(tx.dialect, row).moved(back) for row in tx.query(template, **values)]
            if found:
                tx.run(
                    "bucket_open",
                    id=bucket.id,
                    worker_id=bucket.worker_id,
                    worker_name=bucket.worker_name,
                    lane=bucket.lane,
                    priority=bucket.priority,
                    mode=WorkerMode.DRAIN.value,
                    lease=lease // _MICROSECOND,
                )
                tx.run("taken", bucket_id=bucket.id, ids=[copy.id for copy in found])
            return [copy._replace(claim_no=copy.claim_no + 1) for copy in found]

        return self._database.gateway.transaction("take", work)

    def let_go(self, bucket_id: UUID) -> None:
        def work(tx: Tx) -> None:
            tx.run("taken_drop", bucket_id=bucket_id)
            tx.run("bucket_delete", ids=[bucket_id])

        self._database.gateway.transaction("let_go", work)

    # --- looks --------------------------------------------------------------------------------------

    def backlog(self, lane: str, most: int) -> int:
        row = self._database.gateway.read("backlog", lambda tx: tx.rows("backlog", lane=lane, most=most))[0]
        return int(row[0])

    def waiting_lanes(self) -> list[str]:
        rows = self._database.gateway.read("waiting_lanes", lambda tx: tx.rows("waiting_lanes"))
        return sorted(row[0] for row in rows)


def _taken(tx: Tx, holders: set[UUID]) -> set[UUID]:
    """Those of these buckets into which jobs were taken on their way to the master. It has given the job back
    since, so the copy in there is an old one, which its mover has not let go yet."""
    if not holders:
        return set()
    return {tx.dialect.uuid(row[0]) for row in tx.rows("movers_there", ids=list(holders))}


def _forget(tx: Tx, shipment: Shipment) -> None:
    by_claim: dict[int, list[UUID]] = {}
    for record in shipment.attempts:
        by_claim.setdefault(record.claim_no, []).append(record.job_id)
    for claim_no, ids in by_claim.items():
        tx.run("attempts_shipped", claim_no=claim_no, ids=ids)
    # Another saver may have been quicker, and the job may have come back and ended again since.
    by_placement: dict[int, list[UUID]] = {}
    for ended in shipment.ended:
        by_placement.setdefault(ended.placement, []).append(ended.id)
    for placement, ids in by_placement.items():
        tx.run("history_shipped", placement=placement, ids=ids)


def _mark_saved(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    tx.run("synced", ids=ids)
    return {tx.dialect.uuid(row[0]) for row in tx.rows("jobs_there", ids=ids)}


def _record(tx: Tx, row: tuple[object, ...]) -> AttemptRecord:
    dialect = tx.dialect
    job_id, claim_no, number, started_at, finished_at, outcome, kind, message, trace, worker, log = row
    return AttemptRecord(
        dialect.uuid(job_id),
        claim_no,  # type: ignore[arg-type]
        number,  # type: ignore[arg-type]
        None if started_at is None else dialect.instant(started_at),
        None if finished_at is None else dialect.instant(finished_at),
        AttemptOutcome(outcome),
        None if kind is None else JobError(str(kind), str(message or ""), trace),  # type: ignore[arg-type]
        None if worker is None else dialect.uuid(worker),
        log,  # type: ignore[arg-type]
    )


def _outside(deliver: Callable[[T], None], what: T) -> None:
    try:
        deliver(what)
    except Exception as error:
        raise _Undelivered(error) from error


def _through(gateway: Gateway, name: str, work: Callable[[Tx], int]) -> int:
    try:
        return gateway.transaction(name, work)
    except _Undelivered as carried:
        raise carried.error from None
