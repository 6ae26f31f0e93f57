"""NATS JetStream as an agent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from ...domain.copies import AgentKey, JobCopy
from ...domain.job import ClaimedJob, Job, NewJob
from ...domain.status import BucketStatus, WorkerMode
from ...domain.verdict import hand_back
from ...errors import TransientStoreError
from ...ports.transport import BucketInfo, Listener, Marked, Renewal, RunningMark
from .acknowledging import acknowledge
from .claims import Delivered, Intake, Stay
from .envelope import Envelope, copy_of_new, instant, micros
from .moves import NatsMoves
from .puller import ensure_all
from .reader import live_job
from .registry import BucketRow, Record, Running
from .settling import write_changes
from .store import HORIZON, NatsStore, Session
from .waiting import put_in_place
from .wire import Listening

__all__ = ["NatsTransport"]

_UNASKED = 3.0
"""Seconds after which what was delivered here and nobody claims goes back."""


class NatsTransport(NatsMoves):
    """``AgentTransport`` on a :class:`NatsStore`. Instants are the master's."""

    def __init__(self, store: NatsStore) -> None:
        self._store = store

    @property
    def name(self) -> str:
        return self._store.name

    @property
    def key(self) -> AgentKey:
        return AgentKey(self._store.name, self._store.store_id)

    @property
    def horizon(self) -> timedelta | None:
        return HORIZON

    def open(self) -> None:
        self._store.open()

    def close(self) -> None:
        self._store.close()

    def now(self) -> datetime:
        self._store.call(_ping)
        return self._store.now()

    def enqueue(self, jobs: Sequence[NewJob], timeout: float | None = None) -> datetime:
        limit = self._store.operation_timeout if timeout is None else timeout
        return self._store.call(lambda session: _enqueue(session, jobs, limit), unconfirmed=True)

    def open_buckets(self, buckets: Sequence[BucketInfo], mode: WorkerMode, lease: timedelta) -> None:
        self._store.call(lambda session: _open_buckets(session, buckets, mode, lease))

    def renew(self, worker_id: UUID, buckets: Collection[UUID], lease: timedelta) -> Renewal:
        wanted = frozenset(buckets)
        return self._store.call(lambda session: _renew(session, worker_id, wanted, lease), unconfirmed=True)

    def mark(self, marks: Sequence[RunningMark]) -> Marked:
        if not marks:
            return Marked(frozenset(), frozenset())
        return self._store.call(lambda session: _mark(session, marks))

    def cancellations(self, buckets: Collection[UUID]) -> frozenset[UUID]:
        wanted = frozenset(buckets)
        return self._store.call(lambda session: _cancellations(session, wanted))

    def complete_buckets(self, worker_id: UUID) -> None:
        self._store.call(lambda session: _complete(session, worker_id))

    def close_buckets(self, buckets: Collection[UUID]) -> int:
        wanted = frozenset(buckets)
        return self._store.call(lambda session: _close(session, wanted)) if wanted else 0

    def claimed_in(self, buckets: Collection[UUID]) -> list[ClaimedJob]:
        wanted = frozenset(buckets)
        return self._store.call(lambda session: _claimed_in(session, wanted))

    def next_due(self, lane: str) -> tuple[datetime, datetime] | None:
        return self._store.call(lambda session: _next_due(session, lane), unconfirmed=True)

    def find_live(self, job_id: UUID) -> Job | None:
        return self._store.call(lambda session: live_job(session, job_id))

    def buckets(self) -> list[BucketInfo]:
        return self._store.call(lambda session: _buckets(session))

    def listen(self, on_wake: Callable[[str | None], None]) -> Listener:
        ear = _Ear(self._store, on_wake)
        self._store.call(ear.open)
        return ear


class _Ear:
    """A subscription to the wake-ups of one agent."""

    def __init__(self, store: NatsStore, on_wake: Callable[[str | None], None]) -> None:
        self._store = store
        self._on_wake = on_wake
        self._listening: Listening | None = None
        self._session: Session | None = None

    async def open(self, session: Session) -> None:
        """Begin to listen."""
        wake, link = session.names.wake(), session.link
        self._listening = await link.listen(wake, self._heard)
        # heard by the server before anybody is told to enqueue
        await link.flush()
        if (deaf := link.denied(wake, listening=True)) is not None:
            raise deaf
        link.on_reconnect.append(self._missed)
        session.ears.append(self.hear)
        self._session = session

    def _heard(self, subject: bytes, reply: bytes, body: bytes, headers: bytes) -> None:
        session = self._session
        # what this process says itself it has heard already
        if self._listening is not None and session is not None and reply != session.voice:
            self.hear(subject.rsplit(b".", 1)[1].decode(), [int(priority) for priority in body.split()])

    def hear(self, lane: str, priorities: Collection[int]) -> None:
        """There is work of these priorities, or of any, in a lane."""
        if self._session is not None:
            self._session.claims.stir(lane, priorities)
            self._on_wake(lane)

    def _missed(self) -> None:
        if self._session is not None:
            self._session.claims.stir(None)
        self._on_wake(None)

    async def _close(self, session: Session) -> None:
        listening, self._listening = self._listening, None
        if self._missed in session.link.on_reconnect:
            session.link.on_reconnect.remove(self._missed)
            session.ears.remove(self.hear)
        if listening is not None and session.link.connected:
            await listening.end()

    def close(self) -> None:
        """Stop listening; no call-back comes after that."""
        self._store.call(self._close)


async def _ping(session: Session) -> None:
    """Ask the server for a sign of life."""
    await session.link.api(f"STREAM.INFO.{session.names.jobs}", timeout=2.0)


async def _enqueue(session: Session, jobs: Sequence[NewJob], timeout: float) -> datetime:
    now = session.now()
    copies = [copy_of_new(job, now) for job in jobs]
    items = [
        (Envelope(copy, job.recheck), 0, f"{copy.id.hex}-0") for copy, job in zip(copies, jobs, strict=True)
    ]
    with session.writing("enqueue"):
        await put_in_place(session, items, timeout)
    await _wake(session, copies, now)
    return now


async def _wake(session: Session, copies: Sequence[JobCopy], now: datetime) -> None:
    soon = now + HORIZON
    stirred: dict[str, set[int]] = {}
    for copy in copies:
        if copy.run_at <= soon:
            stirred.setdefault(copy.lane, set()).add(copy.priority)
    for lane, priorities in stirred.items():
        await session.wake(lane, priorities)


# --- buckets ----------------------------------------------------------------------------------------


async def _open_buckets(
    session: Session, buckets: Sequence[BucketInfo], mode: WorkerMode, lease: timedelta
) -> None:
    first = buckets[0]
    pullers = [session.intake(info.lane, info.priority).puller for info in buckets]
    await ensure_all(pullers, session.link, session.timeout)
    asked_at = time.monotonic()
    record = Record(
        first.worker_id,
        first.worker_name,
        first.lane,
        mode.value,
        BucketStatus.ACTIVE.value,
        micros(session.now() + lease),
        [BucketRow(info.id, info.priority) for info in buckets],
        key=first.id,
    )
    with session.writing("open_buckets"):
        is_mine = await session.registry.write(record, session.timeout)
    if not is_mine:
        raise TransientStoreError(f"the buckets of worker {first.worker_name} exist already")
    # what a former stay of this worker held is lost, and rescued
    former = [s for s in session.claims.stays if s.record.worker_id == first.worker_id and not s.trusted]
    for stay in former:
        session.claims.close(stay, stay.buckets)
    session.claims.add(Stay(record, asked_at + lease.total_seconds()))


def _stay_of_all(session: Session, worker_id: UUID, wanted: frozenset[UUID]) -> Stay | None:
    for stay in session.claims.stays:
        if stay.record.worker_id == worker_id and stay.buckets == wanted and stay.trusted:
            return stay
    return None


async def _renew(session: Session, worker_id: UUID, wanted: frozenset[UUID], lease: timedelta) -> Renewal:
    stay = _stay_of_all(session, worker_id, wanted)
    if stay is None:
        return await _renew_move(session, worker_id, wanted, lease)
    # a third of the lease at most, so that trust has not run out when the answer comes
    limit = max(lease, session.lease).total_seconds() / 3
    async with stay.lock:
        asked_at = time.monotonic()
        now = session.now()
        stay.describe()
        stay.record.lease_until = micros(now + lease)
        with session.writing("renew"):
            if lease:
                await _extend(session, stay, limit)
            is_mine = await session.registry.write(stay.record, limit)
        if not is_mine:
            stay.lease_end = float("-inf")
            return Renewal(False, now)
        stay.lease_end = asked_at + lease.total_seconds()
    if lease:
        await _give_unasked_back(session, stay)
    return Renewal(True, session.now())


async def _renew_move(
    session: Session, worker_id: UUID, wanted: frozenset[UUID], lease: timedelta
) -> Renewal:
    """A move is known by its record alone, whichever process made it."""
    now = session.now()
    if len(wanted) == 1:
        record = await session.registry.move(next(iter(wanted)))
        if record is not None and record.worker_id == worker_id and record.lease_until > micros(now):
            record.lease_until = micros(now + lease)
            with session.writing("renew"):
                return Renewal(await session.registry.write(record, session.timeout), now)
    return Renewal(False, now)


async def _extend(session: Session, stay: Stay, timeout: float) -> None:
    """Ask the server for another lease on every message in hand, and make sure of it."""
    by_consumer: dict[str, str] = {}
    held = [claim.reply for claim in stay.claims.values()]
    for intake in session.claims.of_lane(stay.record.lane):
        held += intake.replies()
    for reply in held:
        before = by_consumer.get(key := reply.rsplit(".", 5)[0])
        if before is not None:
            await session.link.send(before, b"+WPI")
        by_consumer[key] = reply
    await asyncio.gather(*(session.link.ask(reply, b"+WPI", timeout) for reply in by_consumer.values()))


async def _give_unasked_back(session: Session, stay: Stay) -> None:
    """A worker that stopped claiming, because its cluster or its agent rests, keeps nobody waiting."""
    for intake in session.claims.of_lane(stay.record.lane):
        if len(intake) and time.monotonic() - intake.asked_at > _UNASKED:
            await _give_back(session, intake)


async def _give_back(session: Session, intake: Intake) -> None:
    """Put what waits in an intake back into the stream, as it came."""
    left = intake.empty()
    if not left:
        return
    items = [
        (item.envelope, item.seq, f"{item.envelope.copy.id.hex}-{item.seq}-back")
        for item in left
        if item.times == 1
    ]
    with session.writing("unclaim"):
        await put_in_place(session, items, session.timeout)
        # what was lost before it came here is delivered once more, to others
        await acknowledge(session.link, [item.reply for item in left if item.times == 1])
    await session.wake(intake.lane)


async def _complete(session: Session, worker_id: UUID) -> None:
    for stay in session.claims.stays:
        if stay.record.worker_id == worker_id and stay.trusted:
            async with stay.lock:
                stay.record.status = BucketStatus.COMPLETING.value
                stay.describe()
                with session.writing("complete_buckets"):
                    await session.registry.write(stay.record, session.timeout)


async def _close(session: Session, wanted: frozenset[UUID]) -> int:
    closed = 0
    for stay in list(session.claims.stays):
        mine = stay.buckets & wanted
        if not mine:
            continue
        async with stay.lock:
            left = [claim for claim in stay.claims.values() if claim.job.bucket_id in mine]
            if stay.trusted:
                closed += await _hand_back(session, left)
            stay.forget([claim.job.id for claim in left])
            session.claims.close(stay, mine)
            with session.writing("close_buckets"):
                if stay.record.buckets:
                    stay.describe()
                    await session.registry.write(stay.record, session.timeout)
                elif stay.trusted:
                    await session.registry.delete(stay.record)
        if stay.record.lane not in session.claims.lanes():
            for intake in session.claims.of_lane(stay.record.lane):
                await _give_back(session, intake)
    return closed


async def _hand_back(session: Session, claims: Sequence[Delivered]) -> int:
    refused, _ = await write_changes(session, [hand_back(claim.job) for claim in claims])
    return len(claims) - len(refused)


async def _claimed_in(session: Session, wanted: frozenset[UUID]) -> list[ClaimedJob]:
    return [claim.job for claim in session.claims.in_buckets(wanted)]


async def _buckets(session: Session) -> list[BucketInfo]:
    for stay in session.claims.stays:
        stay.describe()
    own = {stay.record.key: stay.record for stay in session.claims.stays}
    found = []
    for stored in await session.registry.records():
        mine = own.get(stored.key)
        # what others have written since stands
        record = mine if mine is not None and mine.seq == stored.seq else stored
        for bucket in record.buckets:
            held = sum(1 for claim in record.held if claim.bucket_id == bucket.id)
            found.append(
                BucketInfo(
                    bucket.id,
                    record.worker_id,
                    record.worker_name,
                    record.lane,
                    bucket.priority,
                    BucketStatus(record.status),
                    instant(record.lease_until),
                    session.names.agent,
                    held,
                )
            )
    return found


# --- running jobs -----------------------------------------------------------------------------------


async def _mark(session: Session, marks: Sequence[RunningMark]) -> Marked:
    lost: set[UUID] = set()
    stays: list[Stay] = []
    asked = await session.registry.cancelled()
    for mark in marks:
        stay = session.claims.stay_of(mark.bucket_id)
        claim = None if stay is None or not stay.trusted else stay.claims.get(mark.job_id)
        if stay is None or claim is None or claim.job.claim_no != mark.claim_no:
            lost.add(mark.job_id)
            continue
        before = stay.running.get(mark.job_id)
        progress = mark.progress
        stay.running[mark.job_id] = Running(
            mark.job_id,
            before.started_at if before is not None else micros(mark.started_at),
            progress.fraction if progress is not None else (before.fraction if before else None),
            progress.message if progress is not None else (before.message if before else ""),
        )
        if stay not in stays:
            stays.append(stay)
    for stay in stays:
        async with stay.lock:
            stay.describe()
            with session.writing("mark"):
                is_mine = await session.registry.write(stay.record, session.timeout)
            if not is_mine:
                stay.lease_end = float("-inf")
                lost |= {mark.job_id for mark in marks if mark.bucket_id in stay.buckets}
    return Marked(frozenset(lost), frozenset(asked.intersection(mark.job_id for mark in marks) - lost))


async def _cancellations(session: Session, wanted: frozenset[UUID]) -> frozenset[UUID]:
    held = {claim.job.id for claim in session.claims.in_buckets(wanted)}
    return await session.registry.cancelled() & held if held else frozenset()


async def _next_due(session: Session, lane: str) -> tuple[datetime, datetime] | None:
    """By what this process knows: nothing is asked. A lane that was not claimed from for a while may have
    something, since what others lost is not announced."""
    now = session.now()
    intakes = session.claims.of_lane(lane)
    if any(intake.puller.fresh for intake in intakes):
        return now, now
    due = [intake.next_due for intake in intakes if intake.next_due is not None]
    if any(intake.forgotten for intake in intakes):
        return now, now
    return (now, instant(min(due))) if due else None
