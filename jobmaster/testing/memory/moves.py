"""The side of an agent in memory that faces the master."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from ...domain.copies import AgentKey, JobCopy, Mirror, Shipment
from ...domain.status import WorkerMode
from ...ports import BucketInfo, TakeRequest
from .copies import copy_of, ended_of, row_of
from .database import Bucket, MemoryDatabase, Row

__all__ = ["MemoryMoves"]


class MemoryMoves:
    """The part of ``AgentTransport`` that moves jobs to and from the master."""

    _database: MemoryDatabase

    @property
    def key(self) -> AgentKey:
        return self._database.key

    def ship(self, limit: int, deliver: Callable[[Shipment], None]) -> int:
        database = self._database
        with database.lock:
            records = [record for noted in database.attempts.values() for record in noted.values()][:limit]
            rows = list(database.history.values())[:limit]
            shipment = Shipment([ended_of(row) for row in rows], records)
            if len(shipment):
                deliver(shipment)
                for record in records:
                    database.attempts[record.job_id].pop(record.claim_no, None)
                for row in rows:
                    # whoever delivers may have shipped it before, and more since
                    if database.history.get(row.new.id) is row:
                        del database.history[row.new.id]
            return len(shipment)

    def save(
        self,
        age: timedelta,
        limit: int,
        deliver: Callable[[Sequence[JobCopy]], None],
        retract: Callable[[Collection[UUID]], None],
    ) -> int:
        database = self._database
        with database.lock:
            since = database.clock.now() - age
            unsaved = [row for row in database.live.values() if row.unsynced and row.enqueued_at <= since]
            rows = unsaved[:limit]
            if rows:
                deliver([copy_of(row) for row in rows])
                for row in rows:
                    row.unsynced = False
            return len(rows)

    def unshipped(self) -> tuple[int, int]:
        rows = self._database.history.values()
        return len(rows), sum(len(row.new.data) + len(row.result or "") for row in rows)

    def receive(self, copies: Sequence[JobCopy]) -> None:
        database = self._database
        with database.lock:
            for copy in copies:
                ended = database.history.get(copy.id)
                if ended is not None:
                    if ended.placement >= copy.placement:
                        continue
                    del database.history[copy.id]
                there = database.live.get(copy.id)
                if there is not None and there.placement >= copy.placement:
                    continue
                if there is not None and there.bucket_id is not None and not self._is_taken(there):
                    there.placement, there.new = copy.placement, there.new._replace(recheck=True)
                    continue
                database.live[copy.id] = row_of(copy, recheck=True)
        database.wake({copy.lane for copy in copies})

    def _is_taken(self, row: Row) -> bool:
        bucket = None if row.bucket_id is None else self._database.buckets.get(row.bucket_id)
        return bucket is not None and bucket.mode is WorkerMode.DRAIN

    def take(self, bucket: BucketInfo, lease: timedelta, request: TakeRequest) -> list[JobCopy]:
        database = self._database
        with database.lock:
            now = database.clock.now()
            rows = [row for row in database.live.values() if _wanted(row, request, now)][: request.limit]
            if rows:
                database.buckets[bucket.id] = Bucket(
                    bucket.id,
                    bucket.worker_id,
                    bucket.worker_name,
                    bucket.lane,
                    bucket.priority,
                    now + lease,
                    mode=WorkerMode.DRAIN,
                )
            for row in rows:
                row.bucket_id, row.claim_no = bucket.id, row.claim_no + 1
                row.new = row.new._replace(recheck=True)
            return [copy_of(row) for row in rows]

    def absent(self, mirrors: Sequence[Mirror]) -> frozenset[UUID]:
        database = self._database
        with database.lock:
            wanted = {mirror.id for mirror in mirrors}
            return frozenset(wanted.difference(database.live, database.history))

    def let_go(self, bucket_id: UUID) -> None:
        database = self._database
        with database.lock:
            for row in database.claims({bucket_id}):
                del database.live[row.new.id]
            database.buckets.pop(bucket_id, None)

    def backlog(self, lane: str, most: int) -> int:
        database = self._database
        with database.lock:
            now = database.clock.now()
            due = [
                row
                for row in database.live.values()
                if row.bucket_id is None and row.new.lane == lane and row.run_at <= now
            ]
        return min(most, len(due))

    def waiting_lanes(self) -> list[str]:
        with self._database.lock:
            return sorted({row.new.lane for row in self._database.live.values() if row.bucket_id is None})


def _wanted(row: Row, request: TakeRequest, now: datetime) -> bool:
    return (
        row.bucket_id is None
        and request.lane in (None, row.new.lane)
        and request.priority in (None, row.new.priority)
        and (request.due_after is None or row.run_at > now + request.due_after)
        and (not request.job_ids or row.new.id in request.job_ids)
    )
