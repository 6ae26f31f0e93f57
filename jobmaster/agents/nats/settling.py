"""What a settle writes: outcomes into the outbox, jobs that wait again into the stream; then it acknowledges.

Each step may be the last that this process takes. What ends is in the outbox before its message is
acknowledged; a job that waits again is put in the place of its message before that one is acknowledged. A
message that is delivered once more is looked up in both places.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from ...domain.copies import EndedJob, JobCopy, Shipment
from ...domain.job import JobError
from ...domain.status import JobStatus
from ...domain.verdict import AttemptRecord, StateChange
from .claims import Delivered, Stay
from .envelope import Envelope
from .store import HORIZON, Session
from .waiting import put_in_place

__all__ = ["Writes", "ended_copy", "write_changes"]


@dataclass(slots=True)
class Writes:
    """What one settle comes to."""

    ended: list[EndedJob] = field(default_factory=list)
    attempts: list[AttemptRecord] = field(default_factory=list)
    returned: list[JobCopy] = field(default_factory=list)
    again: list[tuple[Delivered, Envelope]] = field(default_factory=list)
    """Jobs that wait here again."""


def ended_copy(
    copy: JobCopy,
    status: JobStatus,
    claim_no: int,
    counters: tuple[int, int, int],
    finished_at: datetime,
    *,
    started_at: datetime | None = None,
    result: str | None = None,
    error: JobError | None = None,
    worker_id: UUID | None = None,
) -> EndedJob:
    """A job that has ended. ``counters``: attempt, failures, losses."""
    kind, message, trace = (
        (None, None, None) if error is None else (error.type, error.message, error.traceback)
    )
    values: list[Any] = [*copy[:6], claim_no, *counters, *copy[10:20], started_at, kind, message, trace]
    return EndedJob._make([*values, status, finished_at, result, worker_id])


_OVERHEAD = 16 * 1024
"""Bytes of an outcome beside the texts that users give."""


def _unkeepable(change: StateChange, largest: int) -> str | None:
    """What of a change no store could keep: text that is no Unicode, or more than fits into a message."""
    error, record = change.error, change.record
    texts = [change.result]
    for found in (error, None if record is None else record.error):
        if found is not None:
            texts += [found.type, found.message, found.traceback]
    if record is not None:
        texts.append(record.log)
    size = len(change.job.data) + len(change.job.metadata or "")
    for text in texts:
        if text is not None:
            try:
                size += len(text.encode())
            except UnicodeEncodeError as fault:
                return str(fault)
    if 2 * size + _OVERHEAD > largest:
        # quoted once more, text may take twice the room
        return f"its data and result have {size} bytes, and messages of the NATS server {largest}"
    return None


async def write_changes(
    session: Session, changes: Sequence[StateChange]
) -> tuple[set[UUID], dict[UUID, str]]:
    """Write what is owned; the jobs that were refused, and what can never be stored of others."""
    refused: set[UUID] = set()
    poisoned: dict[UUID, str] = {}
    if not changes:
        return refused, poisoned
    kept: list[tuple[StateChange, Delivered]] = []
    stay: Stay | None = None
    bucket: UUID | None = None
    for change in changes:
        if change.job.bucket_id is not bucket:
            bucket = change.job.bucket_id
            stay = session.claims.stay_of(bucket)
            if stay is not None and not stay.trusted:
                stay = None
        claim = None if stay is None else stay.owned(change.job)
        if claim is None:
            refused.add(change.job.id)
        elif change.error is None and change.record is None and change.result is None:
            kept.append((change, claim))
        elif (fault := _unkeepable(change, session.link.max_payload)) is not None:
            poisoned[change.job.id] = fault
        else:
            kept.append((change, claim))
    if not kept:
        return refused, poisoned
    writes = Writes()
    cancelled: dict[UUID, str] = {}
    waits = [claim.envelope.copy for change, claim in kept if not change.status.is_final]
    if waits:
        cancelled = await session.registry.cancel_reasons(waits)
    now = session.now()
    for change, claim in kept:
        _sort(writes, change, claim, cancelled, now)
    with session.writing("settle"):
        shipment = Shipment(writes.ended, writes.attempts, writes.returned)
        if len(shipment):
            await session.outbox.store(shipment, session.lease.total_seconds() / 3)
        overtaken = await _wait_again(session, writes.again)
        refused |= overtaken
    by_bucket: dict[UUID, list[Delivered]] = {}
    for _, claim in kept:
        by_bucket.setdefault(claim.job.bucket_id, []).append(claim)
    for place, claims in by_bucket.items():
        stay = session.claims.stay_of(place)
        if stay is not None:
            _let_go(session, stay, claims, overtaken)
            stay.forget([claim.job.id for claim in claims])
    seen = session.registry.seen
    met = {*cancelled, *seen.intersection([change.job.id for change, _ in kept])} if seen else cancelled
    if met:
        with session.writing("forget_cancels"):
            await session.registry.forget_cancels(met)
    return refused, poisoned


def _sort(
    writes: Writes, change: StateChange, claim: Delivered, cancelled: dict[UUID, str], now: datetime
) -> None:
    job = change.job
    if change.record is not None:
        writes.attempts.append(change.record)
    if cancelled and job.id in cancelled and not change.status.is_final:
        reason = JobError("cancelled", cancelled[job.id] or "cancelled")
        change = change._replace(status=JobStatus.CANCELLED, error=reason)
    if change.status is JobStatus.SUCCEEDED or change.status.is_final:
        writes.ended.append(claim.ended(change, change.finished_at or now))
        return
    copy, error = claim.envelope.copy, change.error
    spread = (copy.error_type, copy.error_message, copy.error_traceback)
    if error is not None:
        spread = (error.type, error.message, error.traceback)
    again = copy._replace(
        run_at=copy.run_at if change.delay is None else now + change.delay,
        claim_no=job.claim_no,
        attempt=change.attempt,
        failures=change.failures,
        losses=change.losses,
        error_type=spread[0],
        error_message=spread[1],
        error_traceback=spread[2],
        unknown_since=change.unknown_since,
    )
    if again.run_at - now > HORIZON:
        writes.returned.append(again)
    else:
        writes.again.append((claim, Envelope(again)))


async def _wait_again(session: Session, again: Sequence[tuple[Delivered, Envelope]]) -> set[UUID]:
    if not again:
        return set()
    items = [(envelope, claim.seq, f"{claim.job.id.hex}-{claim.job.claim_no}") for claim, envelope in again]
    acks = await put_in_place(session, items, session.lease.total_seconds() / 3)
    # whoever has one early keeps it until it is due
    for lane in {envelope.copy.lane for _, envelope in again}:
        await session.wake(lane)
    return {claim.job.id for (claim, _), ack in zip(again, acks, strict=True) if not ack.seq}


def _let_go(session: Session, stay: Stay, claims: Sequence[Delivered], overtaken: Collection[UUID]) -> None:
    """Acknowledge; but not what was lost while it was being written, for then others have it."""
    if stay.trusted:
        mine = [claim for claim in claims if claim.job.id not in overtaken] if overtaken else claims
        if mine:
            session.acknowledging.begin([claim.reply for claim in mine])
