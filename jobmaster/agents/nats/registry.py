"""What a NATS agent keeps beside jobs and outcomes: its workers, moves under way, requests to cancel.

One stream that keeps the last message of each subject. A worker's record is written only while the last one
is its own, so that a worker which others have given up cannot renew.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from ...domain.copies import JobCopy
from ...domain.ids import uuid7
from ...errors import StoreError
from ...payload.jsontext import read, write
from .link import ApiFault, Link
from .messages import Outgoing
from .names import Names

__all__ = ["BucketRow", "Held", "Record", "Registry", "Running"]

_GONE = (10037,)
_HEADERS = 2_048
"""Bytes of a message beside its body, at most."""


class BucketRow(NamedTuple):
    """One bucket of a record."""

    id: UUID
    priority: int


class Held(NamedTuple):
    """A claimed job: where its message is, and what acknowledges it."""

    job_id: UUID
    bucket_id: UUID
    lane: str
    priority: int
    seq: int
    reply: str


class Running(NamedTuple):
    """A claimed job whose start was marked. ``started_at`` in microseconds."""

    job_id: UUID
    started_at: int
    fraction: float | None
    message: str


@dataclass(slots=True)
class Record:
    """A worker, or a move, as its process last described it."""

    worker_id: UUID
    worker_name: str
    lane: str
    mode: str
    status: str
    lease_until: int
    """Microseconds, by the master's clock."""
    buckets: Sequence[BucketRow] = ()
    held: Sequence[Held] = ()
    running: Sequence[Running] = ()
    key: UUID = field(default_factory=uuid7)
    """Tells it from every other, those of the same worker included."""
    seq: int = 0
    """Of its message."""

    def encode(self, most: int) -> bytes:
        """Its message, of ``most`` bytes at most. Of what it holds beyond that the last is left out: whoever
        rescues it meets that when it is delivered again."""
        held, running = self.held, self.running
        text = self._encode(held, running)
        least = len(self.buckets)
        while len(text) > most and max(len(held), len(running)) > least:
            # one that runs alone in its bucket has to be known as running: those come first
            share = 0.9 * most / len(text)
            held = held[: max(least, int(len(held) * share))]
            running = running[: max(least, int(len(running) * share))]
            text = self._encode(held, running)
        return text

    def _encode(self, held_rows: Sequence[Held], running_rows: Sequence[Running]) -> bytes:
        return write(
            [
                self.worker_id.hex,
                self.worker_name,
                self.lane,
                self.mode,
                self.status,
                self.lease_until,
                [[bucket.id.hex, bucket.priority] for bucket in self.buckets],
                [[held.job_id.hex, held.bucket_id.hex, *held[2:]] for held in held_rows],
                [[running.job_id.hex, *running[1:]] for running in running_rows],
            ]
        ).encode()


def _decode(message: dict[str, Any]) -> Record:
    text = base64.b64decode(message["data"]).decode()
    worker_id, name, lane, mode, status, lease_until, buckets, held, running = read(text)
    return Record(
        UUID(hex=worker_id),
        name,
        lane,
        mode,
        status,
        lease_until,
        [BucketRow(UUID(hex=bucket), priority) for bucket, priority in buckets],
        [Held(UUID(hex=row[0]), UUID(hex=row[1]), *row[2:]) for row in held],
        [Running(UUID(hex=row[0]), *row[1:]) for row in running],
        UUID(hex=message["subject"].rsplit(".", 1)[1]),
        message["seq"],
    )


class Registry:
    """The state stream of one agent; everything happens in the agent's loop."""

    def __init__(self, link: Link, names: Names) -> None:
        self._link = link
        self._names = names
        self._stream = names.state
        self.seen: set[UUID] = set()
        """Jobs of which this process knows that they are to be cancelled."""

    # --- records ------------------------------------------------------------------------------------

    def _subject(self, record: Record) -> str:
        return self._names.in_state("move" if record.mode == "drain" else "worker", record.key.hex)

    async def write(self, record: Record, timeout: float) -> bool:
        """Store a record in place of its last one; ``False`` when others have taken that away."""
        message_id = uuid7().hex
        body = record.encode(self._link.max_payload - _HEADERS)
        message = Outgoing(self._subject(record), body, message_id, record.seq)
        (ack,) = await self._link.publish([message], timeout)
        if ack.seq:
            record.seq = ack.seq
            return True
        if not ack.overtaken:
            raise StoreError(f"the record of worker {record.worker_name} was refused: {ack.reason}")
        # sent twice because the first answer was lost?
        there = await self._last(message.subject)
        if there is not None and message_id in base64.b64decode(there.get("hdrs", "")).decode():
            record.seq = there["seq"]
            return True
        return False

    async def delete(self, record: Record) -> bool:
        """Take a record away; whether it was still there."""
        return await self._delete(record.seq)

    async def _delete(self, seq: int) -> bool:
        try:
            await self._link.api(f"STREAM.MSG.DELETE.{self._stream}", {"seq": seq, "no_erase": True})
        except ApiFault:
            return False
        return True

    async def records(self) -> list[Record]:
        """All workers and moves."""
        subjects = [
            subject
            for kind in ("worker", "move")
            for subject in await self._subjects(self._names.in_state(kind, "*"))
        ]
        found = await asyncio.gather(*map(self._last, subjects))
        return [_decode(message) for message in found if message]

    async def move(self, bucket_id: UUID) -> Record | None:
        """The record of a move, whose key is its bucket."""
        message = await self._last(self._names.in_state("move", bucket_id.hex))
        return None if message is None else _decode(message)

    async def _subjects(self, pattern: str) -> list[str]:
        body = {"subjects_filter": pattern}
        state = (await self._link.api(f"STREAM.INFO.{self._stream}", body))["state"]
        return sorted(state.get("subjects") or {})

    async def _last(self, subject: str) -> dict[str, Any] | None:
        try:
            answer = await self._link.api(f"STREAM.MSG.GET.{self._stream}", {"last_by_subj": subject})
        except ApiFault as fault:
            if fault.code in _GONE:
                return None
            raise
        found: dict[str, Any] = answer["message"]
        return found

    # --- requests to cancel -------------------------------------------------------------------------

    async def ask_cancel(self, copy: JobCopy, reason: str, timeout: float) -> None:
        """Ask whoever holds a job to stop it; the first reason stays. It holds for this placement of the job,
        not for one that comes after it has ended."""
        job_id = copy.id
        subject = self._names.in_state("cancel", job_id.hex)
        body = f"{copy.placement} {reason}".encode()
        (ack,) = await self._link.publish([Outgoing(subject, body, uuid7().hex, 0)], timeout)
        self.seen.add(job_id)
        if not ack.seq and not ack.overtaken:
            raise StoreError(f"the request to cancel job {job_id} was refused: {ack.reason}")

    async def cancelled(self) -> frozenset[UUID]:
        """The jobs whose cancellation was asked for."""
        subjects = await self._subjects(self._names.in_state("cancel", "*"))
        found = frozenset(UUID(hex=subject.rsplit(".", 1)[1]) for subject in subjects)
        self.seen |= found
        return found

    async def cancel_reasons(self, copies: Iterable[JobCopy]) -> dict[UUID, str]:
        """Why these jobs are to be cancelled, those that are."""
        asked = await self.cancelled()
        found: dict[UUID, str] = {}
        for copy in copies:
            if copy.id not in asked:
                continue
            message = await self._last(self._names.in_state("cancel", copy.id.hex))
            if message is not None:
                placement, _, reason = base64.b64decode(message.get("data", "")).decode().partition(" ")
                if int(placement) >= copy.placement:
                    found[copy.id] = reason
        return found

    async def forget_cancels(self, job_ids: Iterable[UUID]) -> None:
        """These requests have been met."""
        for job_id in job_ids:
            self.seen.discard(job_id)
            message = await self._last(self._names.in_state("cancel", job_id.hex))
            if message is not None:
                await self._delete(message["seq"])

    # --- how far the master knows the jobs ----------------------------------------------------------

    async def cursor(self) -> tuple[int, int]:
        """Up to which job message the master knows of all, and the sequence of that note."""
        message = await self._last(self._names.in_state("cursor"))
        if message is None:
            return 0, 0
        return int(base64.b64decode(message["data"])), message["seq"]

    async def advance(self, position: int, seq: int, timeout: float) -> None:
        """Note that; unless somebody else has noted something meanwhile."""
        message = Outgoing(self._names.in_state("cursor"), str(position).encode(), uuid7().hex, seq)
        await self._link.publish([message], timeout)
