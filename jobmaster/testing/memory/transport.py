"""``AgentTransport`` in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from ...domain.job import ClaimedJob, Job, NewJob
from ...domain.status import BucketStatus, WorkerMode
from ...ports import BucketInfo, Listener, Marked, Renewal, RunningMark
from .database import Bucket, MemoryDatabase, Row
from .moves import MemoryMoves

__all__ = ["MemoryTransport"]

_RENEWABLE = (BucketStatus.ACTIVE, BucketStatus.COMPLETING)


class MemoryTransport(MemoryMoves):
    """The agent's side of a :class:`MemoryDatabase`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    @property
    def name(self) -> str:
        return self._database.name

    @property
    def horizon(self) -> timedelta | None:
        return None

    def open(self) -> None:
        """Nothing to connect to."""

    def close(self) -> None:
        """Nothing to release."""

    def now(self) -> datetime:
        return self._database.clock.now()

    def enqueue(self, jobs: Sequence[NewJob], timeout: float | None = None) -> datetime:
        database = self._database
        with database.lock:
            now = self.now()
            for job in jobs:
                if job.id not in database.live:
                    row = Row(job, job.run_at or now + job.delay, now)
                    row.unsynced = database.role == "agent"
                    database.live[job.id] = row
        database.wake({job.lane for job in jobs})
        return now

    def open_buckets(self, buckets: Sequence[BucketInfo], mode: WorkerMode, lease: timedelta) -> None:
        database = self._database
        with database.lock:
            for info in buckets:
                database.buckets[info.id] = Bucket(
                    info.id,
                    info.worker_id,
                    info.worker_name,
                    info.lane,
                    info.priority,
                    self.now() + lease,
                    mode=mode,
                )

    def renew(self, worker_id: UUID, buckets: Collection[UUID], lease: timedelta) -> Renewal:
        database = self._database
        with database.lock:
            now = self.now()
            found = [database.buckets.get(bucket) for bucket in set(buckets)]
            mine = [
                bucket
                for bucket in found
                if bucket is not None
                and bucket.worker_id == worker_id
                and bucket.status in _RENEWABLE
                and bucket.lease_until > now
            ]
            if len(mine) != len(found):
                return Renewal(False, now)
            for bucket in mine:
                bucket.lease_until = now + lease
            return Renewal(True, now)

    def mark(self, marks: Sequence[RunningMark]) -> Marked:
        lost, cancel = set(), set()
        with self._database.lock:
            for mark in marks:
                row = self._database.live.get(mark.job_id)
                if row is None or (row.bucket_id, row.claim_no) != (mark.bucket_id, mark.claim_no):
                    lost.add(mark.job_id)
                    continue
                row.started_at = row.started_at or mark.started_at
                row.progress = mark.progress or row.progress
                if row.cancel_requested:
                    cancel.add(mark.job_id)
        return Marked(frozenset(lost), frozenset(cancel))

    def cancellations(self, buckets: Collection[UUID]) -> frozenset[UUID]:
        with self._database.lock:
            return frozenset(row.new.id for row in self._database.claims(buckets) if row.cancel_requested)

    def complete_buckets(self, worker_id: UUID) -> None:
        with self._database.lock:
            for bucket in self._database.buckets.values():
                if bucket.worker_id == worker_id and bucket.status is BucketStatus.ACTIVE:
                    bucket.status = BucketStatus.COMPLETING

    def close_buckets(self, buckets: Collection[UUID]) -> int:
        database, wanted = self._database, set(buckets)
        with database.lock:
            given_back = database.claims(wanted)
            for row in given_back:
                if row.cancel_requested:
                    database.cancel(row, self.now())
                else:
                    row.free()
            for bucket in wanted:
                database.buckets.pop(bucket, None)
        database.wake({row.new.lane for row in given_back})
        return len(given_back)

    def claimed_in(self, buckets: Collection[UUID]) -> list[ClaimedJob]:
        with self._database.lock:
            return [row.claimed() for row in self._database.claims(set(buckets))]

    def next_due(self, lane: str) -> tuple[datetime, datetime] | None:
        with self._database.lock:
            heads = [next(self._database.ready(lane, p), None) for p in range(1, 6)]
            waiting = [row.run_at for row in heads if row is not None]
            return (self.now(), min(waiting)) if waiting else None

    def find_live(self, job_id: UUID) -> Job | None:
        with self._database.lock:
            row = self._database.live.get(job_id)
            return None if row is None else self._database.show(row)

    def buckets(self) -> list[BucketInfo]:
        database = self._database
        with database.lock:
            return [
                BucketInfo(
                    bucket.id,
                    bucket.worker_id,
                    bucket.worker_name,
                    bucket.lane,
                    bucket.priority,
                    bucket.status,
                    bucket.lease_until,
                    self.name,
                    len(database.claims({bucket.id})),
                )
                for bucket in database.buckets.values()
            ]

    def listen(self, on_wake: Callable[[str | None], None]) -> Listener:
        return self._database.listen(on_wake)
