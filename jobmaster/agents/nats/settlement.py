"""Settlement on a NATS agent."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from ...domain.copies import AgentKey, JobCopy, Shipment
from ...domain.ids import uuid7
from ...domain.job import ClaimedJob, JobError, NewJob
from ...domain.status import BucketStatus, JobStatus
from ...domain.verdict import StateChange
from ...errors import ConfigurationError, StoreError, TransientStoreError
from ...ports.master import MasterStore
from ...ports.settlement import CancelResult, Keyed, OnConflict, Rescue, Settled, StoreElsewhere
from ...ports.transport import ClaimRequest
from .acknowledging import acknowledge
from .claiming import Doubt, Harvest, admit, examine, harvest, keep_for_later, prefetch
from .claims import Delivered
from .envelope import Envelope, micros
from .losses import Loss, Rescued, losses_of, put_back, sift
from .registry import Record
from .settling import ended_copy, write_changes
from .store import HORIZON, NatsStore, Session
from .stranded import Stranded
from .waiting import Found, delete, delivered_up_to, detach, find, is_waiting, put_in_place

__all__ = ["NatsSettlement"]

_MOVE_FOR = timedelta(seconds=10)
"""How long a job rests that is being changed; if whoever does it dies, it waits again after that."""


class NatsSettlement:
    """``Settlement`` on a :class:`NatsStore`; ``master`` decides about claims that are in doubt.

    ``max_losses`` bounds how often a job that is met again may lose its worker."""

    def __init__(
        self, store: NatsStore, master: MasterStore, max_losses: Callable[[], int], logger: logging.Logger
    ) -> None:
        self._store = store
        self._master = master
        self._max_losses = max_losses
        self._logger = logger
        self._stranded = Stranded()
        self._met = (0, 0)
        """How many jobs that were met again wait again, and how many failed, since that was told last."""
        self._counting = threading.Lock()

    @property
    def _key(self) -> AgentKey:
        return AgentKey(self._store.name, self._store.store_id)

    @property
    def abreast(self) -> int:
        return 1

    @property
    def at_once(self) -> int | None:
        return None

    # --- claims -------------------------------------------------------------------------------------

    def settle(self, changes: Sequence[StateChange], claim: ClaimRequest | None) -> Settled:
        refused, poisoned, found = self._store.call(
            lambda session: _settle(session, changes, claim), unconfirmed=True
        )
        claimed = found.ready
        if found.doubtful:
            claimed += self._resolve(found.doubtful)
        if found.lost:
            self._rescue_delivered(found.lost)
        elif self._met != (0, 0):
            self._tell_met()
        if found.doubtful:
            claimed.sort(key=lambda job: -job.priority)
        return Settled(frozenset(refused), claimed, self._store.now(), poisoned)

    def _resolve(self, doubtful: Sequence[tuple[Delivered, UUID]]) -> list[ClaimedJob]:
        """Those of these that may run; what cannot be decided now is looked at again in a moment."""
        items = [delivered for delivered, _ in doubtful]
        try:
            doubt = self._store.call(lambda session: examine(session, items))
            stale = self._stale(doubt)
        except StoreError as fault:
            self._logger.info("%d claims wait to be checked: %s", len(items), fault)
            self._store.call(lambda session: _keep(session, items))
            return []
        if doubt.later:
            self._store.call(lambda session: _keep(session, doubt.later))
            waits = {item.seq for item in doubt.later}
            doubtful = [pair for pair in doubtful if pair[0].seq not in waits]
        gone = {item.seq for item in doubt.gone}
        live: list[tuple[Delivered, UUID]] = []
        dead: list[tuple[Delivered, UUID]] = []
        for delivered, bucket in doubtful:
            is_dead = delivered.seq in gone or delivered.envelope.copy.id in stale
            (dead if is_dead else live).append((delivered, bucket))
        if dead:
            self._logger.info("%d claims were of copies that live elsewhere or have ended", len(dead))
        return self._store.call(lambda session: _admit(session, live, [d for d, _ in dead], doubt.cancel))

    def _stale(self, doubt: Doubt) -> frozenset[UUID]:
        if not doubt.ask:
            return frozenset()
        return self._master.stale(self._key, [item.envelope.copy.id for item in doubt.ask])

    def recheck(self, claims: Sequence[ClaimedJob]) -> list[ClaimedJob]:
        """All of them: a claim is checked before it is given out."""
        return list(claims)

    # --- rescue -------------------------------------------------------------------------------------

    def _rescue_delivered(self, lost: Sequence[Delivered]) -> None:
        # one that nobody got to for two leases may have been delivered twice: it is one loss
        once = {item.seq: item for item in lost}
        losses = [Loss(item.subject, item.seq, item.reply, item.envelope) for item in once.values()]
        try:
            rescued = self._rescue(losses, self._max_losses())
        except StoreError as fault:
            # of any kind: what was claimed beside these has to reach the engine
            self._logger.info("%d lost jobs wait to be rescued: %s", len(losses), fault)
            lost = list(once.values())
            self._store.call(lambda session: _keep(session, lost))
            return
        with self._counting:
            self._met = (self._met[0] + rescued.released, self._met[1] + rescued.failed)

    def _tell_met(self) -> None:
        """They come in portions, and are told together."""
        with self._counting:
            (released, failed), self._met = self._met, (0, 0)
        if released or failed:
            self._logger.warning(
                "rescued %d jobs whose worker had died; %d more failed as lost", released, failed
            )

    def _rescue(self, losses: Sequence[Loss], max_losses: int) -> Rescued:
        left, told = self._store.call(lambda session: sift(session, losses))
        if not left:
            return Rescued()
        if len(told):
            self._master.record(self._key, told)
        stale = self._master.overtake(self._key, [loss.raised for loss in left])
        return self._store.call(lambda session: put_back(session, left, max_losses, stale))

    def rescue(self, max_losses: int, limit: int = 500) -> Rescue:
        """Workers and moves whose lease ran out, as far as their records say what they held. What a worker
        claimed since its last record is rescued by whoever it is delivered to next.

        Needs the master, which is told before anything changes; while it is away, nothing is done."""
        buckets = released = failed = 0
        for record in self._store.call(_dead_records):
            if record.status == BucketStatus.READY_TO_DELETE.value:
                self._store.call(partial(_delete_record, record))
                continue
            try:
                losses = self._store.call(partial(_losses, record))
                for start in range(0, len(losses), limit):
                    done = self._rescue(losses[start : start + limit], max_losses)
                    released += done.released
                    failed += done.failed
            except TransientStoreError as fault:
                self._logger.info("worker %s cannot be rescued now: %s", record.worker_name, fault)
                continue
            if self._store.call(partial(_empty_record, record)):
                buckets += len(record.buckets)
        self._store.call(_forget_met_requests)
        if self._stranded.is_due:
            self._clear_stranded()
        return Rescue(buckets, released, failed)

    def _clear_stranded(self) -> None:
        found, told = self._store.call(self._stranded.look)
        if not found and not told:
            return
        try:
            for shipment in told.values():
                self._master.record(self._key, shipment)
            stale = self._master.stale(self._key, [item.envelope.copy.id for item in found])
        except TransientStoreError as fault:
            self._logger.info("%d messages wait to be cleared: %s", len(found) + len(told), fault)
            return
        self._store.call(lambda session: self._stranded.clear(session, found, stale, told))

    # --- keyed enqueue, callers' connections --------------------------------------------------------

    def enqueue_keyed(self, jobs: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        raise ConfigurationError(
            "unique keys are unique in the whole cluster: such jobs begin on the master, not on agent "
            f"{self._store.name!r}"
        )

    def enqueue_in(self, connection: object, jobs: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        raise StoreElsewhere(
            f"connection= leads to a database, and agent {self._store.name!r} is NATS, which takes no part "
            "in transactions"
        )

    async def enqueue_in_async(
        self, connection: object, jobs: Sequence[NewJob], on_conflict: OnConflict
    ) -> list[Keyed]:
        return self.enqueue_in(connection, jobs, on_conflict)

    # --- single jobs --------------------------------------------------------------------------------

    def cancel(self, job_id: UUID, reason: str) -> CancelResult:
        return self._store.call(lambda session: _cancelling(session, job_id, reason))

    def reschedule(self, job_id: UUID, run_at: datetime) -> bool:
        if run_at - self._store.now() <= HORIZON:
            return self._store.call(lambda session: _rescheduling(session, job_id, run_at))
        # farther ahead than jobs are kept here: it goes to the master, which learns first
        bucket = uuid7()
        copy = self._store.call(lambda session: _take_one(session, job_id, bucket))
        if copy is None:
            return False
        self._master.take_back(self._key, [copy._replace(run_at=run_at)])
        self._store.call(lambda session: _drop_resting(session, job_id, bucket))
        return True

    def revive(self, job_id: UUID) -> bool:
        """Never here: what has ended belongs to the master."""
        return False

    def clean(self, older_than: timedelta, limit: int = 1000) -> int:
        """Never here: what has ended here is on its way to the master."""
        return 0


async def _settle(
    session: Session, changes: Sequence[StateChange], claim: ClaimRequest | None
) -> tuple[set[UUID], dict[UUID, str], Harvest]:
    asked: frozenset[int] = frozenset()
    if claim is None or not changes or not all(change.status.is_final for change in changes):
        refused, poisoned = await write_changes(session, changes)
    else:
        # what is written frees nothing that could be claimed: both at once
        (refused, poisoned), asked = await asyncio.gather(
            write_changes(session, changes), prefetch(session, claim)
        )
    if claim is None:
        return refused, poisoned, Harvest()
    try:
        return refused, poisoned, await harvest(session, claim, asked)
    except StoreError as fault:
        if not changes:
            raise
        # what was settled is settled; the worker finds out when it claims again
        session.logger.debug("nothing claimed after a settle: %s", fault)
        return refused, poisoned, Harvest()


async def _losses(record: Record, session: Session) -> list[Loss]:
    return await losses_of(session, record)


async def _empty_record(record: Record, session: Session) -> bool:
    """Its jobs are out of it: the next rescue deletes it; nobody can renew it any more."""
    record.status, record.held, record.running = BucketStatus.READY_TO_DELETE.value, (), ()
    with session.writing("expire"):
        return await session.registry.write(record, session.timeout)


async def _delete_record(record: Record, session: Session) -> bool:
    with session.writing("bucket_gone"):
        return await session.registry.delete(record)


async def _forget_met_requests(session: Session) -> None:
    """Requests to cancel jobs that are not here any more."""
    asked = await session.registry.cancelled()
    met = [job_id for job_id in asked if await find(session, job_id) is None]
    if met:
        with session.writing("forget_cancels"):
            await session.registry.forget_cancels(met)


async def _keep(session: Session, items: Sequence[Delivered]) -> None:
    keep_for_later(session, items)


async def _admit(
    session: Session,
    live: Sequence[tuple[Delivered, UUID]],
    dead: Sequence[Delivered],
    cancel: frozenset[UUID],
) -> list[ClaimedJob]:
    if dead:
        with session.writing("dismiss"):
            await acknowledge(session.link, [item.reply for item in dead])
    claimed: list[ClaimedJob] = []
    for delivered, bucket in live:
        stay = session.claims.stay_of(bucket)
        if stay is None or not stay.trusted:
            keep_for_later(session, [delivered])
        else:
            claimed.append(admit(stay, delivered, bucket, cancel=delivered.envelope.copy.id in cancel))
    return claimed


async def _dead_records(session: Session) -> list[Record]:
    now = micros(session.now())
    return [record for record in await session.registry.records() if record.lease_until <= now]


async def _at_rest(session: Session, job_id: UUID) -> Found | None:
    """The message of a job; one on its way to another store is waited for, and ``None`` once it has left."""
    deadline = time.monotonic() + session.timeout
    while True:
        found = await find(session, job_id)
        if (
            found is None
            or found.envelope.taken is None
            or found.envelope.not_before <= micros(session.now())
        ):
            return found
        if time.monotonic() >= deadline:
            raise TransientStoreError(f"job {job_id} is on its way to another store")
        await asyncio.sleep(0.02)


async def _cancelling(session: Session, job_id: UUID, reason: str) -> CancelResult:
    with session.writing("cancel"):
        return await _cancel(session, job_id, reason)


async def _cancel(session: Session, job_id: UUID, reason: str) -> CancelResult:
    for _ in range(3):
        found = await _at_rest(session, job_id)
        if found is None:
            return await _cancel_elsewhere(session, job_id)
        copy = found.envelope.copy
        delivered = await delivered_up_to(session, copy.lane, copy.priority)
        now = session.now()
        if not is_waiting(found, delivered, micros(now)):
            await session.registry.ask_cancel(copy, reason, session.timeout)
            await session.wake(copy.lane)
            return CancelResult.REQUESTED
        free = await detach(session, [found], micros(now + _MOVE_FOR), uuid7())
        if free:
            counters = (copy.attempt, copy.failures, copy.losses)
            error = JobError("cancelled", reason or "cancelled")
            ended = ended_copy(copy, JobStatus.CANCELLED, copy.claim_no + 1, counters, now, error=error)
            await session.outbox.store(Shipment([ended], []), session.timeout)
            await delete(session, [seq for _, seq in free])
            return CancelResult.CANCELLED
        # it was changed when we asked, or claimed
        if (await find(session, job_id) or found).seq == found.seq:
            continue
        await session.registry.ask_cancel(copy, reason, session.timeout)
        await session.wake(copy.lane)
        return CancelResult.REQUESTED
    raise TransientStoreError(f"job {job_id} changes too fast to be cancelled; try again")


async def _cancel_elsewhere(session: Session, job_id: UUID) -> CancelResult:
    for part in await session.outbox.refresh():
        if any(ended.id == job_id for ended in part.ended):
            return CancelResult.FINAL
    return CancelResult.NOT_FOUND


async def _rescheduling(session: Session, job_id: UUID, run_at: datetime) -> bool:
    with session.writing("reschedule"):
        return await _reschedule(session, job_id, run_at)


async def _reschedule(session: Session, job_id: UUID, run_at: datetime) -> bool:
    bucket = uuid7()
    copy = await _take_one(session, job_id, bucket)
    if copy is None:
        return False
    found = await find(session, job_id)
    if found is None or found.envelope.taken != bucket:
        return False
    again = Envelope(found.envelope.copy._replace(run_at=run_at), recheck=True)
    (ack,) = await put_in_place(session, [(again, found.seq, uuid7().hex)], session.timeout)
    await delete(session, [found.seq])
    await session.wake(copy.lane)
    return ack.seq > 0


async def _take_one(session: Session, job_id: UUID, bucket: UUID) -> JobCopy | None:
    """Take one waiting job out of everybody's reach for a moment; ``None`` when it does not wait here."""
    found = await _at_rest(session, job_id)
    if found is None:
        return None
    copy = found.envelope.copy
    now = session.now()
    delivered = await delivered_up_to(session, copy.lane, copy.priority)
    if not is_waiting(found, delivered, micros(now)):
        return None
    with session.writing("take"):
        free = await detach(session, [found], micros(now + _MOVE_FOR), bucket)
    return copy._replace(claim_no=copy.claim_no + 1) if free else None


async def _drop_resting(session: Session, job_id: UUID, bucket: UUID) -> None:
    found = await find(session, job_id)
    if found is not None and found.envelope.taken == bucket:
        with session.writing("let_go"):
            await delete(session, [found.seq])
