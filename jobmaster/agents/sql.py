"""An SQL database as an agent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from ..domain.alike import AlikeJobs, kinds_of
from ..domain.copies import AgentKey
from ..domain.job import ClaimedJob, Job, NewJob
from ..domain.status import BucketStatus, WorkerMode
from ..errors import ConflictError
from ..ports.transport import BucketInfo, Listener, Marked, Renewal, RunningMark
from ..sql.database import Database
from ..sql.gateway import Gateway, Tx
from ..sql.jobrows import live_job
from ..sql.newjobs import lanes_to_wake
from ..sql.rescuing import close_buckets
from .moves import SqlMoves
from .skew import Skew

__all__ = ["SqlTransport"]

_MICROSECOND = timedelta(microseconds=1)


class _NotAll(Exception):
    """Undoes a renewal that did not cover every bucket."""


class SqlTransport(SqlMoves):
    """``AgentTransport`` on a :class:`~jobmaster.sql.Database`; its name is the database's."""

    def __init__(self, database: Database, skew: Skew | None = None) -> None:
        self._database = database
        self._skew = skew or Skew()

    @property
    def name(self) -> str:
        return self._database.name

    @property
    def key(self) -> AgentKey:
        return AgentKey(self._database.name, self._database.store_id)

    @property
    def horizon(self) -> timedelta | None:
        return None

    @property
    def _gateway(self) -> Gateway:
        return self._database.gateway

    def open(self) -> None:
        self._database.open()

    def close(self) -> None:
        self._database.close()

    def now(self) -> datetime:
        return self._skew.outward(self._gateway.read("now", Tx.now))

    def enqueue(self, jobs: Sequence[NewJob], timeout: float | None = None) -> datetime:
        wake = lanes_to_wake(jobs, datetime.now(UTC))
        gateway = self._gateway
        enqueue = gateway.dialect.enqueue
        known = any(job.recheck for job in kinds_of(jobs))
        jobs = self._skew.new_jobs(jobs)
        pinned = _pinned(jobs)

        def work(tx: Tx, known: bool) -> datetime:
            now = enqueue(tx, jobs, wake, known)
            for agent, ids in pinned.items():
                tx.run("job_pin", agent=agent, ids=ids)
            return now

        try:
            now = gateway.transaction("enqueue", lambda tx: work(tx, known), timeout=timeout)
        except ConflictError:
            now = gateway.transaction("enqueue", lambda tx: work(tx, True), timeout=timeout)
        return self._skew.outward(now)

    def open_buckets(self, buckets: Sequence[BucketInfo], mode: WorkerMode, lease: timedelta) -> None:
        def work(tx: Tx) -> None:
            for bucket in buckets:
                tx.run(
                    "bucket_open",
                    id=bucket.id,
                    worker_id=bucket.worker_id,
                    worker_name=bucket.worker_name,
                    lane=bucket.lane,
                    priority=int(bucket.priority),
                    mode=mode.value,
                    lease=lease // _MICROSECOND,
                )

        self._gateway.transaction("open_buckets", work)

    def renew(self, worker_id: UUID, buckets: Collection[UUID], lease: timedelta) -> Renewal:
        wanted = list(set(buckets))

        def work(tx: Tx) -> Renewal:
            renewed = tx.run("bucket_renew", ids=wanted, worker_id=worker_id, lease=lease // _MICROSECOND)
            if renewed != len(wanted):
                raise _NotAll
            return Renewal(True, self._skew.outward(tx.now()))

        try:
            # a third of the lease at most, so that trust has not run out when the answer comes
            return self._gateway.transaction("renew", work, timeout=lease.total_seconds() / 3)
        except _NotAll:
            return Renewal(False, self.now())

    def mark(self, marks: Sequence[RunningMark]) -> Marked:
        if not marks:
            return Marked(frozenset(), frozenset())
        return self._gateway.transaction("mark", lambda tx: _mark(tx, marks))

    def cancellations(self, buckets: Collection[UUID]) -> frozenset[UUID]:
        wanted = list(buckets)
        gateway = self._gateway
        rows = gateway.read("cancellations", lambda tx: tx.rows("cancellations", ids=wanted))
        return frozenset(gateway.dialect.uuid(row[0]) for row in rows)

    def complete_buckets(self, worker_id: UUID) -> None:
        self._gateway.transaction(
            "complete_buckets", lambda tx: tx.run("bucket_complete", worker_id=worker_id)
        )

    def close_buckets(self, buckets: Collection[UUID]) -> int:
        wanted = list(buckets)
        if not wanted:
            return 0
        return self._gateway.transaction("close_buckets", lambda tx: close_buckets(tx, wanted))

    def claimed_in(self, buckets: Collection[UUID]) -> list[ClaimedJob]:
        wanted = list(buckets)
        gateway = self._gateway
        found = gateway.read("claimed_in", lambda tx: gateway.dialect.claimed_in(tx, wanted))
        return self._skew.claimed(found)

    def next_due(self, lane: str) -> tuple[datetime, datetime] | None:
        gateway = self._gateway
        row = gateway.read("next_due", lambda tx: tx.rows("next_due", lane=lane))[0]
        waiting = [due for due in row[1:] if due is not None]
        if not waiting:
            return None
        instant, outward = gateway.dialect.instant, self._skew.outward
        return outward(instant(row[0])), outward(instant(min(waiting)))

    def find_live(self, job_id: UUID) -> Job | None:
        gateway = self._gateway
        row = gateway.read("find_live", lambda tx: tx.row("job_find", id=job_id))
        return None if row is None else self._skew.shown(live_job(self._database, row))

    def buckets(self) -> list[BucketInfo]:
        gateway = self._gateway
        uuid, instant = gateway.dialect.uuid, gateway.dialect.instant
        rows = gateway.read("buckets", lambda tx: tx.rows("bucket_list"))
        return [
            BucketInfo(
                id=uuid(row[0]),
                worker_id=uuid(row[1]),
                worker_name=row[2],
                lane=row[3],
                priority=row[4],
                status=BucketStatus(row[5]),
                lease_until=self._skew.outward(instant(row[6])),
                agent_connection=self.name,
                jobs=row[7],
            )
            for row in rows
        ]

    def listen(self, on_wake: Callable[[str | None], None]) -> Listener:
        gateway = self._gateway
        return gateway.dialect.listen(gateway.names, on_wake)


def _pinned(jobs: Sequence[NewJob]) -> dict[str, list[UUID]]:
    """The jobs whose callers asked for an agent, by agent."""
    found: dict[str, list[UUID]] = {}
    if isinstance(jobs, AlikeJobs) and jobs.like.agent is None:
        return found
    for job in jobs:
        if job.agent is not None:
            found.setdefault(job.agent, []).append(job.id)
    return found


def _mark(tx: Tx, marks: Sequence[RunningMark]) -> Marked:
    uuid = tx.dialect.uuid
    tx.bulk(
        "mark",
        [
            (
                mark.job_id,
                mark.bucket_id,
                mark.claim_no,
                mark.started_at,
                None if mark.progress is None else mark.progress.fraction,
                None if mark.progress is None else mark.progress.message,
            )
            for mark in marks
        ],
    )
    owned: dict[UUID, tuple[UUID, int, bool]] = {
        uuid(row[0]): (uuid(row[1]), row[2], row[3] is not None)
        for row in tx.rows("owned", ids=[mark.job_id for mark in marks])
        if row[1] is not None
    }
    lost: set[UUID] = set()
    cancel: set[UUID] = set()
    for mark in marks:
        row = owned.get(mark.job_id)
        if row is None or row[:2] != (mark.bucket_id, mark.claim_no):
            lost.add(mark.job_id)
        elif row[2]:
            cancel.add(mark.job_id)
    return Marked(frozenset(lost), frozenset(cancel))
