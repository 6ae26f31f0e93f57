"""Settlement when live and finished jobs share one database: everything in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from ..domain.job import AttemptOutcome, ClaimedJob, NewJob
from ..domain.verdict import StateChange
from ..errors import ConflictError, DuplicateJob, TransientStoreError
from ..ports.settlement import CancelResult, Keyed, OnConflict, Rescue, Settled
from ..ports.transport import ClaimRequest
from ..sql.callers import converse, converse_async, own_converse
from ..sql.database import Database
from ..sql.dialect import Dialect
from ..sql.endings import Writes
from ..sql.gateway import Gateway, Tx
from ..sql.keyed import Conversation, Step, keyed_enqueue
from ..sql.newjobs import key_hash, lanes_to_wake
from ..sql.rescuing import rescue
from ..sql.settling import settle

__all__ = ["SameDatabaseSettlement"]

_MICROSECOND = timedelta(microseconds=1)


class SameDatabaseSettlement:
    """``Settlement`` on one :class:`~jobmaster.sql.Database` in both roles.

    ``settle_timeout``, in seconds, bounds how long a settle is tried; the default is the operation timeout.
    """

    def __init__(self, database: Database, settle_timeout: float | None = None) -> None:
        self._database = database
        self._settle_timeout = settle_timeout

    @property
    def _gateway(self) -> Gateway:
        return self._database.gateway

    @property
    def abreast(self) -> int:
        return 2

    @property
    def at_once(self) -> int | None:
        return self._gateway.dialect.settles_at_once

    def settle(self, changes: Sequence[StateChange], claim: ClaimRequest | None) -> Settled:
        return settle(self._gateway, changes, claim, self._settle_timeout)

    def recheck(self, claims: Sequence[ClaimedJob]) -> list[ClaimedJob]:
        doubtful = [job.id for job in claims if job.recheck]
        if not doubtful:
            return list(claims)
        rows = self._gateway.read("recheck", lambda tx: tx.rows("history_has", ids=doubtful))
        ended = {self._gateway.dialect.uuid(row[0]) for row in rows}
        if ended:
            self._drop([job for job in claims if job.id in ended])
        return [job for job in claims if job.id not in ended]

    def _drop(self, claims: Sequence[ClaimedJob]) -> None:
        def work(tx: Tx) -> None:
            for job in claims:
                tx.run("job_drop_fenced", id=job.id, bucket_id=job.bucket_id, claim_no=job.claim_no)

        self._gateway.transaction("drop", work)

    # --- enqueue ------------------------------------------------------------------------------------

    def enqueue_keyed(self, jobs: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        gateway = self._gateway
        wake = lanes_to_wake(jobs, datetime.now(UTC))

        def work(tx: Tx) -> list[Keyed]:
            keyed: list[Keyed] = own_converse(tx, _with_pins(gateway.dialect, jobs, on_conflict))
            gateway.dialect.notify(tx, wake)
            return keyed

        return gateway.transaction("enqueue_keyed", work)

    def enqueue_in(self, connection: object, jobs: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        self._database.open()
        found: list[Keyed] = converse(self._database, connection, self._with_wake(jobs, on_conflict))
        return found

    async def enqueue_in_async(
        self, connection: object, jobs: Sequence[NewJob], on_conflict: OnConflict
    ) -> list[Keyed]:
        self._database.open()
        found: list[Keyed] = await converse_async(
            self._database, connection, self._with_wake(jobs, on_conflict)
        )
        return found

    def _with_wake(self, jobs: Sequence[NewJob], on_conflict: OnConflict) -> Conversation:
        dialect = self._database.dialect
        keyed = yield from _with_pins(dialect, jobs, on_conflict, self._database)
        lanes = lanes_to_wake(jobs, datetime.now(UTC))
        yield from dialect.wake_steps(self._gateway.names, lanes)
        return keyed

    # --- single jobs --------------------------------------------------------------------------------

    def cancel(self, job_id: UUID, reason: str) -> CancelResult:
        def work(tx: Tx) -> CancelResult:
            # Twice, because a finished job may be revived between the look at one table and the other.
            for _ in range(2):
                row = tx.row("job_lock", id=job_id)
                if row is not None:
                    return _cancel_live(tx, job_id, reason, row)
                if tx.rows("history_has", ids=[job_id]):
                    return CancelResult.FINAL
            return CancelResult.NOT_FOUND

        return self._gateway.transaction("cancel", work)

    def reschedule(self, job_id: UUID, run_at: datetime) -> bool:
        def work(tx: Tx) -> bool:
            row = tx.row("job_lock", id=job_id)
            if row is None:
                return False
            if row[0] is not None:
                _refuse_moving(tx, job_id, row[0])
                return False
            tx.run("job_reschedule", id=job_id, run_at=run_at)
            if self._database.role == "master" or run_at <= datetime.now(UTC) + timedelta(seconds=1):
                tx.dialect.notify(tx, {row[1]})
            return True

        return self._gateway.transaction("reschedule", work)

    def revive(self, job_id: UUID) -> bool:
        def work(tx: Tx) -> bool:
            row = tx.row("history_lock", id=job_id)
            if row is None:
                return False
            claim_no, attempt, unique_key, lane = row
            hashed = None if unique_key is None else key_hash(unique_key)
            if hashed is not None:
                holder = tx.row("key_holder", unique_hash=hashed)
                if holder is not None:
                    raise DuplicateJob(unique_key, tx.dialect.uuid(holder[0]))
            tx.run("history_revive", id=job_id, unique_hash=hashed)
            tx.run("history_drop", ids=[job_id])
            writes = Writes(lanes={lane})
            writes.note_mark(job_id, claim_no + 1, attempt, AttemptOutcome.RETRIED, tx.now())
            writes.write(tx)
            return True

        gateway = self._gateway
        try:
            return gateway.transaction("revive", work)
        except ConflictError:
            # The key was taken between the look and the insert: the second look sees by whom.
            return gateway.transaction("revive", work)

    # --- upkeep -------------------------------------------------------------------------------------

    def rescue(self, max_losses: int, limit: int = 500) -> Rescue:
        return rescue(self._gateway, max_losses, limit)

    def clean(self, older_than: timedelta, limit: int = 1000) -> int:
        def work(tx: Tx) -> int:
            rows = tx.rows("history_expired", age=older_than // _MICROSECOND, limit=limit)
            if not rows:
                return 0
            expired = [tx.dialect.uuid(row[0]) for row in rows]
            tx.run("attempt_drop", ids=expired)
            tx.run("history_drop", ids=expired)
            return len(expired)

        return self._gateway.transaction("clean", work)


def _with_pins(
    dialect: Dialect, jobs: Sequence[NewJob], on_conflict: OnConflict, seen_in: Database | None = None
) -> Conversation:
    keyed = yield from keyed_enqueue(dialect, jobs, on_conflict, seen_in)
    for job, answer in zip(jobs, keyed, strict=True):
        if job.agent is not None and answer.inserted:
            yield Step("job_pin_one", {"agent": job.agent, "id": answer.job_id})
    return keyed


def _cancel_live(tx: Tx, job_id: UUID, reason: str, row: tuple[object, ...]) -> CancelResult:
    bucket_id, lane, attempt, failures, losses = row
    if bucket_id is None:
        writes = Writes()
        counters = (attempt, failures, losses)
        writes.cancel(job_id, reason, counters, tx.now())  # type: ignore[arg-type]
        writes.write(tx)
        return CancelResult.CANCELLED
    _refuse_moving(tx, job_id, bucket_id)
    tx.run("job_ask_cancel", id=job_id, reason=reason)
    tx.dialect.notify(tx, {str(lane)})
    return CancelResult.REQUESTED


def _refuse_moving(tx: Tx, job_id: UUID, bucket_id: object) -> None:
    """A job on its way to another store is changed there. What is raised makes the gateway try again, until
    the job has left."""
    if tx.rows("movers_there", ids=[tx.dialect.uuid(bucket_id)]):
        raise TransientStoreError(f"job {job_id} is on its way to another store")
