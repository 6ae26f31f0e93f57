"""The side of a NATS agent that faces the master."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from ...domain.copies import JobCopy, Mirror, Shipment
from ...domain.ids import uuid7
from ...domain.status import WorkerMode
from ...errors import StoreError, TransientStoreError
from ...ports.transport import BucketInfo, TakeRequest
from .claiming import whereabouts
from .envelope import Envelope, micros
from .outbox import Parcel
from .registry import BucketRow, Held, Record
from .store import NatsStore, Session
from .waiting import Found, delete, delivered_up_to, detach, find, is_waiting, last_of, put_in_place, walk

__all__ = ["NatsMoves"]

_READ_FOR = 0.2
"""Seconds for which one save reads messages. Each is a question of its own."""
_READ_BESIDE_WORK = 0.02
"""The same while workers of this process empty a backlog: they are not to be slowed by telling the master of
what they will have done in a moment."""
_MUCH_WORK = 500
"""Jobs delivered between two saves, which are a second apart, from which on that is so."""
_PERSISTENCE = 10
"""How often a job that others change is tried to be placed."""
_LOOKED_AT = 4
"""Messages looked at for each that is taken, before a take gives up until it is called again."""


class NatsMoves:
    """The part of ``AgentTransport`` that moves jobs to and from the master."""

    _store: NatsStore

    # --- to the master ------------------------------------------------------------------------------

    def ship(self, limit: int, deliver: Callable[[Shipment], None]) -> int:
        parcels = self._store.call(lambda session: session.outbox.next_parcels(limit), unconfirmed=True)
        if not parcels:
            return 0
        told, kept = _cut(parcels, limit)
        try:
            deliver(told)
        except BaseException:
            self._store.call(lambda session: session.outbox.offer_again(parcels))
            raise
        self._store.call(lambda session: _shipped(session, parcels, kept), unconfirmed=True)
        return len(told)

    def save(
        self,
        age: timedelta,
        limit: int,
        deliver: Callable[[Sequence[JobCopy]], None],
        retract: Callable[[Collection[UUID]], None],
    ) -> int:
        found, cursor = self._store.call(lambda session: _unsaved(session, age, limit))
        if not found:
            return 0
        copies = [item.envelope.copy for item in found]
        deliver(copies)
        gone = self._store.call(lambda session: _saved(session, found, cursor))
        if gone:
            retract(gone)
        return len(copies)

    def unshipped(self) -> tuple[int, int]:
        return self._store.call(lambda session: session.outbox.size())

    # --- from the master ----------------------------------------------------------------------------

    def receive(self, copies: Sequence[JobCopy]) -> None:
        self._store.call(lambda session: _receive(session, copies))

    def absent(self, mirrors: Sequence[Mirror]) -> frozenset[UUID]:
        return self._store.call(lambda session: _absent(session, mirrors)) if mirrors else frozenset()

    # --- back to the master -------------------------------------------------------------------------

    def take(self, bucket: BucketInfo, lease: timedelta, request: TakeRequest) -> list[JobCopy]:
        return self._store.call(lambda session: _take(session, bucket, lease, request))

    def let_go(self, bucket_id: UUID) -> None:
        self._store.call(lambda session: _let_go(session, bucket_id))

    # --- looks --------------------------------------------------------------------------------------

    def backlog(self, lane: str, most: int) -> int:
        return self._store.call(lambda session: _backlog(session, lane, most))

    def waiting_lanes(self) -> list[str]:
        return self._store.call(_waiting_lanes)


def _cut(parcels: Sequence[Parcel], limit: int) -> tuple[Shipment, list[Shipment]]:
    """Up to ``limit`` outcomes of these messages, and what is left of them."""
    attempts = [record for parcel in parcels for record in parcel.shipment.attempts]
    ended = [job for parcel in parcels for job in parcel.shipment.ended]
    returned = [copy for parcel in parcels for copy in parcel.shipment.returned]
    told = Shipment(ended[:limit], attempts, returned[: max(0, limit - len(ended))])
    kept = Shipment(ended[limit:], [], returned[max(0, limit - len(ended)) :])
    return told, [kept] if len(kept) else []


async def _shipped(session: Session, parcels: Sequence[Parcel], kept: Sequence[Shipment]) -> None:
    with session.writing("ship"):
        await session.outbox.shipped(parcels, kept)


async def _unsaved(session: Session, age: timedelta, limit: int) -> tuple[list[Found], int]:
    """Job messages of which the master may not know: those after the cursor that are old enough."""
    position, cursor = await session.registry.cursor()
    before = session.now() - age
    found: list[Found] = []
    delivered = session.claims.delivered
    working = delivered - session.delivered_before >= _MUCH_WORK
    session.delivered_before = delivered
    until = time.monotonic() + (_READ_BESIDE_WORK if working else _READ_FOR)
    while len(found) < limit and time.monotonic() < until:
        part = await walk(session, position + 1, session.names.jobs_of(), min(25, limit - len(found)))
        old = [item for item in part if _stored_at(item) <= before]
        found += old
        if len(old) < len(part) or not part:
            break
        position = part[-1].seq
    return found, cursor


def _stored_at(found: Found) -> datetime:
    """When it was enqueued: the time of its message is by the server's clock, which nobody follows."""
    return found.envelope.copy.enqueued_at


async def _saved(session: Session, found: Sequence[Found], cursor: int) -> set[UUID]:
    """Note that the master knows these; those that are not there any more."""
    with session.writing("save"):
        await session.registry.advance(found[-1].seq, cursor, session.timeout)
    there = await last_of(session, [item.subject for item in found])
    return {item.envelope.copy.id for item, still in zip(found, there, strict=True) if still is None}


async def _receive(session: Session, copies: Sequence[JobCopy]) -> None:
    # Each call has ids of its own: by one that it has seen before, the server would take a placement for done
    # whose message has gone since, and that is what it is offered again for. What is there stays alone.
    items = [
        (Envelope(copy._replace(started_at=None), recheck=True), 0, f"{copy.id.hex}-{uuid7().hex}")
        for copy in copies
    ]
    with session.writing("receive"):
        acks = await put_in_place(session, items, session.timeout)
        met = [copy for copy, ack in zip(copies, acks, strict=True) if not ack.seq]
        if met:
            await _make_way(session, met)
    for lane in {copy.lane for copy in copies}:
        await session.wake(lane)


async def _make_way(session: Session, copies: Sequence[JobCopy]) -> None:
    """Another message of these jobs is there: one left behind by an earlier placement makes way."""
    ended = await whereabouts(session)
    for copy in copies:
        if not ended.tells_of(copy):
            await _place(session, copy)


async def _place(session: Session, copy: JobCopy) -> None:
    for _ in range(_PERSISTENCE):
        there = await find(session, copy.id)
        if there is not None and there.envelope.copy.placement >= copy.placement:
            return
        before = 0 if there is None else there.seq
        envelope = Envelope(copy._replace(started_at=None), recheck=True)
        fresh = (envelope, before, f"{copy.id.hex}-{uuid7().hex}")
        (ack,) = await put_in_place(session, [fresh], session.timeout)
        if ack.seq:
            if before:
                await delete(session, [before])
            return
    raise TransientStoreError(
        f"job {copy.id} changes too fast to be placed on agent {session.names.agent!r}", ambiguous=True
    )


async def _absent(session: Session, mirrors: Sequence[Mirror]) -> frozenset[UUID]:
    subjects = [session.names.job(mirror.lane, mirror.priority, mirror.id) for mirror in mirrors]
    found = await last_of(session, subjects)
    gone = {mirror.id for mirror, there in zip(mirrors, found, strict=True) if there is None}
    if not gone:
        return frozenset()
    # whoever runs one whose message was lost tells of its end all the same
    now = micros(session.now())
    held = {
        held.job_id
        for record in await session.registry.records()
        if record.lease_until > now
        for held in record.held
    }
    # an end is stored before its message goes: one that is missing from here by now has reached the master
    told: set[UUID] = set()
    for part in await session.outbox.refresh():
        told.update([ended.id for ended in part.ended], [copy.id for copy in part.returned])
    return frozenset(gone - held - told)


async def _take(
    session: Session, bucket: BucketInfo, lease: timedelta, request: TakeRequest
) -> list[JobCopy]:
    now = session.now()
    until = micros(now + lease)
    wanted = await _wanted(session, request)
    if not wanted:
        return []
    # the record first: what it does not name yet rests until the lease is over, and waits again then
    record = Record(
        bucket.worker_id,
        bucket.worker_name,
        bucket.lane,
        WorkerMode.DRAIN.value,
        bucket.status.value,
        until,
        [BucketRow(bucket.id, bucket.priority)],
        key=bucket.id,
    )
    with session.writing("take"):
        await session.registry.write(record, session.timeout)
        free = await detach(session, wanted, until, bucket.id)
        record.held = [
            Held(copy.id, bucket.id, copy.lane, copy.priority, seq, "")
            for copy, seq in ((item.envelope.copy, seq) for item, seq in free)
        ]
        if free:
            await session.registry.write(record, session.timeout)
        else:
            await session.registry.delete(record)
    return [_counted(item.envelope.copy) for item, _ in free]


def _counted(copy: JobCopy) -> JobCopy:
    """To take a job is a claim of it."""
    return copy._replace(claim_no=copy.claim_no + 1)


async def _wanted(session: Session, request: TakeRequest) -> list[Found]:
    now = session.now()
    borders: dict[tuple[str, int], int] = {}

    async def fits(item: Found) -> bool:
        copy = item.envelope.copy
        place = (copy.lane, copy.priority)
        if item.envelope.taken is not None and item.envelope.not_before > micros(now):
            return False
        if request.lane not in (None, copy.lane) or request.priority not in (None, copy.priority):
            return False
        if request.due_after is not None and copy.run_at <= now + request.due_after:
            return False
        if place not in borders:
            borders[place] = await delivered_up_to(session, *place)
        return is_waiting(item, borders[place], micros(now))

    if request.job_ids:
        asked = await asyncio.gather(*(find(session, job_id) for job_id in request.job_ids[: request.limit]))
        return [item for item in asked if item is not None and await fits(item)]
    pattern = session.names.jobs_of(request.lane or "*", request.priority or "*")
    found: list[Found] = []
    start, looked = 1, 0
    while len(found) < request.limit and looked < _LOOKED_AT * request.limit:
        part = await walk(session, start, pattern, min(100, request.limit))
        if not part:
            break
        looked += len(part)
        start = part[-1].seq + 1
        found += [item for item in part if await fits(item)]
    return found[: request.limit]


async def _let_go(session: Session, bucket_id: UUID) -> None:
    with session.writing("let_go"):
        record = await session.registry.move(bucket_id)
        if record is not None:
            subjects = [session.names.job(held.lane, held.priority, held.job_id) for held in record.held]
            there = await last_of(session, subjects)
            mine = [item.seq for item in there if item is not None and item.envelope.taken == bucket_id]
            await delete(session, mine)
            await session.registry.delete(record)


async def _backlog(session: Session, lane: str, most: int) -> int:
    async def one(priority: int) -> int:
        name = session.names.consumer(lane, priority)
        try:
            info = await session.link.api(f"CONSUMER.INFO.{session.names.jobs}.{name}")
        except StoreError:
            # no worker of this priority ever was here: whoever looks at the lane in earnest finds its jobs
            return await _count(session, lane, priority)
        return int(info["num_pending"])

    counts = await asyncio.gather(*map(one, (1, 2, 3, 4, 5)))
    return min(most, sum(counts))


async def _count(session: Session, lane: str, priority: int) -> int:
    return len(await _subjects(session, session.names.jobs_of(lane, priority)))


async def _subjects(session: Session, pattern: str) -> list[str]:
    body = {"subjects_filter": pattern}
    state = (await session.link.api(f"STREAM.INFO.{session.names.jobs}", body))["state"]
    return list(state.get("subjects") or {})


async def _waiting_lanes(session: Session) -> list[str]:
    subjects = await _subjects(session, session.names.jobs_of())
    return sorted({subject.rsplit(".", 3)[1] for subject in subjects})
