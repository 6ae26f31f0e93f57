"""Job messages as they lie in the stream: found, put in each other's place, taken out.

A message cannot be changed. Whatever changes a job that waits puts a message with the same subject in its
place, on the condition that the last one is still the one that was seen; so of several who change a job one
succeeds. The job's claim ends with its message: what acknowledges the old one cannot touch the new.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from ...domain.ids import uuid7
from ...errors import TransientStoreError
from .claims import Delivered
from .envelope import Envelope, decode_job, encode_job, micros
from .link import ApiFault
from .messages import Ack, Outgoing
from .store import Session
from .streams import CONSUMER_GONE

__all__ = [
    "Found",
    "delete",
    "delivered_up_to",
    "detach",
    "find",
    "is_waiting",
    "last_of",
    "put_in_place",
    "superseded",
    "walk",
]

_NO_MESSAGE = 10037
_AT_ONCE = 50
"""Messages that are asked for at a time, so that nothing else has to wait for long."""
_MARGIN = 500_000
"""Microseconds before it is due at which whoever keeps a job may already look at it."""


class Found(NamedTuple):
    """A job message as it lies in the stream. ``at``: when it was stored, in microseconds."""

    subject: str
    seq: int
    envelope: Envelope
    at: str


async def _get(session: Session, body: Mapping[str, object]) -> Found | None:
    try:
        answer = await session.link.api(f"STREAM.MSG.GET.{session.names.jobs}", body)
    except ApiFault as fault:
        if fault.code == _NO_MESSAGE:
            return None
        raise
    message: dict[str, Any] = answer["message"]
    data = base64.b64decode(message["data"])
    return Found(message["subject"], message["seq"], decode_job(message["subject"], data), message["time"])


async def find(session: Session, job_id: UUID) -> Found | None:
    """The message of a job."""
    return await _get(session, {"last_by_subj": session.names.job_anywhere(job_id)})


async def last_of(session: Session, subjects: Sequence[str]) -> list[Found | None]:
    """The last messages of these subjects."""
    found: list[Found | None] = []
    for start in range(0, len(subjects), _AT_ONCE):
        part = subjects[start : start + _AT_ONCE]
        found += await asyncio.gather(*(_get(session, {"last_by_subj": name}) for name in part))
    return found


async def walk(session: Session, start: int, pattern: str, most: int, last: int | None = None) -> list[Found]:
    """The messages from a sequence on, in order, up to the one that is ``last`` or before it."""
    found: list[Found] = []
    while len(found) < most:
        following = await _get(session, {"seq": start, "next_by_subj": pattern})
        if following is None or (last is not None and following.seq > last):
            break
        found.append(following)
        start = following.seq + 1
    return found


async def delivered_up_to(session: Session, lane: str, priority: int) -> int:
    """The sequence up to which messages of a lane and priority were delivered; 0 without a consumer."""
    name = session.names.consumer(lane, priority)
    try:
        info = await session.link.api(f"CONSUMER.INFO.{session.names.jobs}.{name}")
    except ApiFault as fault:
        if fault.code == CONSUMER_GONE:
            return 0
        raise
    # a consumer that delivered nothing says from where on it begins
    return int(info["delivered"]["stream_seq"]) if info["delivered"]["consumer_seq"] else 0


def is_waiting(found: Found, delivered: int, now: int) -> bool:
    """Whether nobody can run it now: nobody has it, or who has it keeps it until it is due."""
    return found.seq > delivered or found.envelope.ready_at > now


async def put_in_place(
    session: Session, items: Sequence[tuple[Envelope, int, str]], timeout: float
) -> list[Ack]:
    """Store jobs, each in place of the message with that sequence (0: only if there is none), with an id that
    makes a repetition known. An answer without a sequence: another was put there before."""
    messages = [
        Outgoing(
            session.names.job(envelope.copy.lane, envelope.copy.priority, envelope.copy.id),
            encode_job(envelope),
            message_id,
            expected,
        )
        for envelope, expected, message_id in items
    ]
    acks = await session.link.publish(messages, timeout)
    for place, ack in enumerate(acks):
        if ack.seq:
            continue
        if not ack.overtaken:
            raise TransientStoreError(
                f"agent {session.names.agent!r} did not take a job: {ack.reason}",
                ambiguous=any(other.seq for other in acks),
            )
        acks[place] = await _mine_after_all(session, messages[place]) or ack
    return acks


async def _mine_after_all(session: Session, message: Outgoing) -> Ack | None:
    """Whether what stands there is this very message, whose first answer was lost."""
    try:
        answer = await session.link.api(
            f"STREAM.MSG.GET.{session.names.jobs}", {"last_by_subj": message.subject}
        )
    except ApiFault:
        return None
    there = answer["message"]
    headers = base64.b64decode(there.get("hdrs", "")).decode()
    if f"Nats-Msg-Id: {message.id}\r\n" in headers:
        return Ack(there["seq"], duplicate=True)
    return None


async def delete(session: Session, seqs: Iterable[int]) -> None:
    """Take messages out that nobody acknowledges."""

    async def one(seq: int) -> None:
        try:
            await session.link.api(f"STREAM.MSG.DELETE.{session.names.jobs}", {"seq": seq, "no_erase": True})
        except ApiFault as fault:
            # there is none any more: it was acknowledged, or deleted before
            session.logger.debug("message %d: %s", seq, fault)

    await asyncio.gather(*map(one, seqs))


async def superseded(session: Session, delivered: Sequence[Delivered]) -> set[int]:
    """The sequences of those in whose place something else was put, or that were taken out, while they were
    kept here. (Not the jobs: what stands in their place may be here as well.)"""
    found = await last_of(session, [item.subject for item in delivered])
    return {
        item.seq
        for item, there in zip(delivered, found, strict=True)
        if there is None or there.seq != item.seq
    }


async def detach(
    session: Session, found: Sequence[Found], until: int, bucket_id: UUID
) -> list[tuple[Found, int]]:
    """Take waiting jobs out of everybody's reach until an instant: those that nobody had, each with the
    sequence of the message that now stands for it.

    A copy that rests until then is put in the place of each, then the original goes. One that was delivered
    in between belongs to whoever got it; its copy stays, for nobody can tell whether that one saw it and let
    the job go, and is looked into when it has rested."""
    resting = [
        (item.envelope._replace(recheck=True, not_before=until, taken=bucket_id), item.seq, uuid7().hex)
        for item in found
    ]
    acks = await put_in_place(session, resting, session.timeout)
    placed = [(item, ack.seq) for item, ack in zip(found, acks, strict=True) if ack.seq]
    await delete(session, [item.seq for item, _ in placed])
    borders = await _borders(session, {item.subject.rsplit(".", 1)[0] for item, _ in placed})
    now = micros(session.now())
    free: list[tuple[Found, int]] = []
    for item, seq in placed:
        delivered = borders[item.subject.rsplit(".", 1)[0]]
        if item.seq > delivered or item.envelope.ready_at > now + _MARGIN:
            free.append((item, seq))
    return free


async def _borders(session: Session, patterns: Collection[str]) -> dict[str, int]:
    async def one(pattern: str) -> int:
        _, lane, priority = pattern.rsplit(".", 2)
        return await delivered_up_to(session, lane, int(priority))

    wanted = list(patterns)
    return dict(zip(wanted, await asyncio.gather(*map(one, wanted)), strict=True))
