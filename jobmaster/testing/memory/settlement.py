"""``Settlement`` in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, takewhile
from uuid import UUID

from ...domain.job import AttemptOutcome, ClaimedJob, JobError, NewJob
from ...domain.status import BucketStatus, JobStatus, WorkerMode
from ...domain.verdict import AttemptRecord, StateChange, hand_back, lost_verdict
from ...errors import ConfigurationError, DuplicateJob, TransientStoreError
from ...ports import CancelResult, ClaimRequest, Keyed, MasterStore, OnConflict, Rescue, Settled
from .database import MemoryDatabase, Row

__all__ = ["MemoryAgentSettlement", "MemorySettlement"]

_PUT_OFF = timedelta(seconds=1)
"""How long a claim waits about which the master could not be asked."""


class MemorySettlement:
    """Settles a :class:`MemoryDatabase` in both roles."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    @property
    def abreast(self) -> int:
        return 2

    @property
    def at_once(self) -> int | None:
        return None

    def settle(self, changes: Sequence[StateChange], claim: ClaimRequest | None) -> Settled:
        refused: set[UUID] = set()
        poisoned: dict[UUID, str] = {}
        with self._database.lock:
            now = self._database.clock.now()
            for change in changes:
                row = self._database.live.get(change.job.id)
                fence = (change.job.bucket_id, change.job.claim_no)
                if row is None or (row.bucket_id, row.claim_no) != fence:
                    refused.add(change.job.id)
                    continue
                try:
                    _check_text(change)
                except UnicodeEncodeError as error:
                    poisoned[change.job.id] = str(error)
                    continue
                self._apply(row, change, now)
            claimed = [] if claim is None else self._claim(claim, now)
        return Settled(frozenset(refused), claimed, now, poisoned)

    def _apply(self, row: Row, change: StateChange, now: datetime) -> None:
        database = self._database
        if change.record is not None:
            database.note(change.record)
        row.attempt, row.failures, row.losses = change.attempt, change.failures, change.losses
        facts = {"started_at": change.started_at, "worker_id": change.worker_id}
        if change.status.is_final:
            finished_at = change.finished_at or now
            database.end(row, change.status, finished_at, result=change.result, error=change.error, **facts)
        elif row.cancel_requested:
            database.cancel(row, change.finished_at or now, **facts)
        else:
            row.free()
            row.unknown_since = change.unknown_since
            row.error = change.error or row.error
            if change.delay is not None:
                row.run_at = now + change.delay

    def _claim(self, claim: ClaimRequest, now: datetime) -> list[ClaimedJob]:
        database = self._database
        wanted = {p: n for p, n in claim.limits.items() if n > 0}
        for priority in wanted:
            bucket = database.buckets.get(claim.buckets[priority])
            if bucket is None or bucket.status is not BucketStatus.ACTIVE or bucket.lease_until <= now:
                return []
        claimed: list[ClaimedJob] = []
        for priority in sorted(wanted, reverse=True):
            after = claim.after.get(priority)
            due = takewhile(lambda row: row.run_at <= now, database.ready(claim.lane, priority))
            fresh = due if after is None else (row for row in due if row.order > after)
            for row in list(islice(fresh, wanted[priority])):
                if row.new.recheck and row.new.id in database.history:
                    del database.live[row.new.id]
                    continue
                row.bucket_id = claim.buckets[priority]
                row.claim_no += 1
                claimed.append(row.claimed())
        return claimed

    def recheck(self, claims: Sequence[ClaimedJob]) -> list[ClaimedJob]:
        database = self._database
        with database.lock:
            ended = {job.id for job in claims if job.recheck and job.id in database.history}
            for job in claims:
                row = database.live.get(job.id)
                if job.id in ended and row is not None and row.claim_no == job.claim_no:
                    del database.live[job.id]
        return [job for job in claims if job.id not in ended]

    # --- enqueue ------------------------------------------------------------------------------------

    def enqueue_keyed(self, jobs: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        database = self._database
        with database.lock:
            now = database.clock.now()
            if on_conflict == "raise":
                for job in jobs:
                    holder = None if job.unique_key is None else database.holder_of(job.unique_key)
                    if holder is not None and holder.new.id != job.id and job.unique_key is not None:
                        raise DuplicateJob(job.unique_key, holder.new.id)
            mine: set[UUID] = set()
            answers = [self._enqueue_one(job, on_conflict, now, mine) for job in jobs]
        database.wake({job.lane for job in jobs})
        return answers

    def _enqueue_one(self, job: NewJob, on_conflict: OnConflict, now: datetime, mine: set[UUID]) -> Keyed:
        live = self._database.live
        row = None if job.unique_key is None else self._database.holder_of(job.unique_key)
        row = row or live.get(job.id)
        inserted = row is None or row.new.id == job.id
        if row is None:
            row = live[job.id] = Row(job, job.run_at or now + job.delay, now)
            mine.add(job.id)
        elif on_conflict == "replace" and row.bucket_id is None and row.new.id not in mine:
            row.new = job._replace(
                id=row.new.id,
                schedule_id=row.new.schedule_id,
                occurrence_at=row.new.occurrence_at,
                recheck=row.new.recheck,
            )
            row.run_at = job.run_at or now + job.delay
        return Keyed(row.new.id, inserted, row.run_at, row.enqueued_at)

    def enqueue_in(self, connection: object, jobs: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        raise ConfigurationError("a store in memory has no connections to enqueue through")

    async def enqueue_in_async(
        self, connection: object, jobs: Sequence[NewJob], on_conflict: OnConflict
    ) -> list[Keyed]:
        return self.enqueue_in(connection, jobs, on_conflict)

    # --- single jobs --------------------------------------------------------------------------------

    def cancel(self, job_id: UUID, reason: str) -> CancelResult:
        database = self._database
        with database.lock:
            row = database.live.get(job_id)
            if row is None:
                return CancelResult.FINAL if job_id in database.history else CancelResult.NOT_FOUND
            if row.bucket_id is None:
                row.cancel_reason = reason
                database.cancel(row, database.clock.now())
                return CancelResult.CANCELLED
            self._refuse_moving(row)
            if not row.cancel_requested:
                row.cancel_requested, row.cancel_reason = True, reason
        database.wake({row.new.lane})
        return CancelResult.REQUESTED

    def reschedule(self, job_id: UUID, run_at: datetime) -> bool:
        database = self._database
        with database.lock:
            row = database.live.get(job_id)
            if row is None:
                return False
            if row.bucket_id is not None:
                self._refuse_moving(row)
                return False
            row.run_at = run_at
        database.wake({row.new.lane})
        return True

    def _refuse_moving(self, row: Row) -> None:
        """Nobody else moves jobs while this waits: there is nothing to wait for in memory."""
        bucket = None if row.bucket_id is None else self._database.buckets.get(row.bucket_id)
        if bucket is not None and bucket.mode is WorkerMode.DRAIN:
            raise TransientStoreError(f"job {row.new.id} is on its way to another store")

    def revive(self, job_id: UUID) -> bool:
        database = self._database
        with database.lock:
            old = database.history.get(job_id)
            if old is None:
                return False
            holder = None if old.new.unique_key is None else database.holder_of(old.new.unique_key)
            if holder is not None and old.new.unique_key is not None:
                raise DuplicateJob(old.new.unique_key, holder.new.id)
            now = database.clock.now()
            del database.history[job_id]
            new = old.new._replace(recheck=False)
            row = Row(new, now, old.enqueued_at, claim_no=old.claim_no + 1, attempt=old.attempt)
            database.live[job_id] = row
            outcome = AttemptOutcome.RETRIED
            database.note(
                AttemptRecord(job_id, row.claim_no, row.attempt, None, now, outcome, None, None, None)
            )
        database.wake({row.new.lane})
        return True

    # --- upkeep -------------------------------------------------------------------------------------

    def rescue(self, max_losses: int, limit: int = 500) -> Rescue:
        database = self._database
        with database.lock:
            now = database.clock.now()
            ready = BucketStatus.READY_TO_DELETE
            over = [bucket for bucket in database.buckets.values() if bucket.lease_until <= now]
            dead = [bucket for bucket in over if bucket.status is not ready]
            for empty in over:
                if empty.status is ready:
                    del database.buckets[empty.id]
            living = database.buckets.keys() - {bucket.id for bucket in dead}
            # what a master has given to an agent is not claimed
            living |= {record.key.store_id for record in database.agents.values()}
            lost = database.strays(living)
            verdicts = [self._lose(row, max_losses, now) for row in lost]
            for bucket in dead:
                bucket.status = ready
        database.wake({row.new.lane for row in lost})
        return Rescue(len(dead), verdicts.count("released"), verdicts.count("failed"))

    def _lose(self, row: Row, max_losses: int, now: datetime) -> str:
        database = self._database
        assert row.bucket_id is not None
        bucket = database.buckets.get(row.bucket_id)
        worker = None if bucket is None else bucket.worker_id
        started = True if row.started_at is not None else (None if row.losses == 0 else False)
        if bucket is not None and bucket.mode is WorkerMode.DRAIN:
            started = False
        losses, over = lost_verdict(row.losses, started, max_losses)
        error = JobError("lost", "lost: its worker vanished while it held the job")
        if losses > row.losses:
            row.attempt += 1
            outcome = AttemptOutcome.LOST
            database.note(
                AttemptRecord(
                    row.new.id,
                    row.claim_no,
                    row.attempt,
                    row.started_at,
                    now,
                    outcome,
                    error,
                    worker,
                    None,
                )
            )
        row.losses = losses
        if row.cancel_requested:
            database.cancel(row, now, started_at=row.started_at, worker_id=worker)
            return "cancelled"
        if over:
            error = JobError("lost", f"lost: its worker vanished {losses} times")
            facts = {"started_at": row.started_at, "worker_id": worker}
            database.end(row, JobStatus.FAILED, now, error=error, **facts)
            return "failed"
        row.free()
        return "released"

    def clean(self, older_than: timedelta, limit: int = 1000) -> int:
        database = self._database
        with database.lock:
            cut = database.clock.now() - older_than
            expired = [
                job_id
                for job_id, row in database.history.items()
                if row.finished_at is not None and row.finished_at <= cut
            ]
            for job_id in expired[:limit]:
                del database.history[job_id]
                database.attempts.pop(job_id, None)
            return len(expired[:limit])


class MemoryAgentSettlement(MemorySettlement):
    """Settles an agent in memory; ``master`` decides about claims that carry the ``recheck`` mark."""

    def __init__(self, database: MemoryDatabase, master: MasterStore) -> None:
        super().__init__(database)
        self._master = master

    def settle(self, changes: Sequence[StateChange], claim: ClaimRequest | None) -> Settled:
        settled = super().settle(changes, claim)
        return replace(settled, claimed=self._live_ones(settled.claimed))

    def recheck(self, claims: Sequence[ClaimedJob]) -> list[ClaimedJob]:
        return self._live_ones(super().recheck(claims))

    def _live_ones(self, claims: Sequence[ClaimedJob]) -> list[ClaimedJob]:
        doubtful = [job for job in claims if job.recheck]
        if not doubtful:
            return list(claims)
        try:
            stale = self._master.stale(self._database.key, [job.id for job in doubtful])
        except TransientStoreError:
            # only the master can say: they are handed back until it can be asked
            super().settle([hand_back(job)._replace(delay=_PUT_OFF) for job in doubtful], None)
            return [job for job in claims if not job.recheck]
        live = self._database.live
        with self._database.lock:
            for job in doubtful:
                row = live.get(job.id)
                owned = row is not None and (row.bucket_id, row.claim_no) == (job.bucket_id, job.claim_no)
                if job.id in stale and owned:
                    del live[job.id]
        return [job for job in claims if job.id not in stale]

    def revive(self, job_id: UUID) -> bool:
        """Never here: what has ended belongs to the master."""
        return False

    def clean(self, older_than: timedelta, limit: int = 1000) -> int:
        """Never here: what has ended here is on its way to the master."""
        return 0


def _check_text(change: StateChange) -> None:
    texts = [change.result]
    recorded = None if change.record is None else change.record.error
    for error in (change.error, recorded):
        if error is not None:
            texts += [error.type, error.message, error.traceback]
    for text in texts:
        if text is not None:
            text.encode()
