"""Jobs whose holder is lost: charged, put back, and out of its reach.

A message that is delivered a second time has lost its holder. It is not run: a new message with the loss in
it is put in its place, and the master is told beforehand to refuse what the former holder may still say. So a
message is run by its first receiver only, and acknowledges nothing but itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from ...domain.copies import EndedJob, JobCopy, Shipment
from ...domain.job import AttemptOutcome, JobError
from ...domain.status import JobStatus
from ...domain.verdict import AttemptRecord, lost_verdict
from .acknowledging import acknowledge
from .claiming import Whereabouts
from .envelope import Envelope, instant
from .registry import Record
from .settling import ended_copy
from .store import Session
from .waiting import delete, last_of, put_in_place

__all__ = ["Loss", "Rescued", "losses_of", "put_back", "sift"]


class Loss(NamedTuple):
    """A message that has lost its holder."""

    subject: str
    seq: int
    reply: str
    envelope: Envelope
    worker_id: UUID | None = None
    started_at: datetime | None = None
    uncharged: bool = False
    """Its holder was moving it: that is no loss."""

    @property
    def id(self) -> UUID:
        """The job."""
        return self.envelope.copy.id

    @property
    def raised(self) -> JobCopy:
        """The job as the master is told of it: only the claim after the lost one may end it."""
        copy = self.envelope.copy
        return copy._replace(claim_no=copy.claim_no + 2)


@dataclass(slots=True)
class Rescued:
    """What became of losses."""

    released: int = 0
    failed: int = 0
    lanes: set[str] = field(default_factory=set)


async def losses_of(session: Session, record: Record) -> list[Loss]:
    """What the record of a dead worker, or of a move that ended, says that it held, as far as that is still
    there."""
    started = {running.job_id: running.started_at for running in record.running}
    subjects = [session.names.job(held.lane, held.priority, held.job_id) for held in record.held]
    found = await last_of(session, subjects)
    moved = record.mode == "drain"
    now = session.now()
    losses = []
    for held, there in zip(record.held, found, strict=True):
        if there is None or there.seq != held.seq:
            continue
        if moved and instant(there.envelope.not_before) <= now:
            # it rests no longer: whoever has it by now may run it
            continue
        at = started.get(held.job_id)
        losses.append(
            Loss(
                there.subject,
                there.seq,
                held.reply,
                there.envelope,
                record.worker_id,
                None if at is None else instant(at),
                moved,
            )
        )
    return losses


async def sift(session: Session, losses: Sequence[Loss]) -> tuple[list[Loss], Shipment]:
    """Those that are to be rescued, and what their holders told of their end: the master has to hear that
    first, for only it can say whether it still counted. Another message stands in the place of the others;
    they are dropped."""
    if not losses:
        return [], Shipment([], [])
    found = await last_of(session, [loss.subject for loss in losses])
    parts = await session.outbox.refresh()
    left: list[Loss] = []
    done: list[Loss] = []
    for loss, there in zip(losses, found, strict=True):
        (done if there is None or there.seq != loss.seq else left).append(loss)
    await drop(session, done)
    ended = Whereabouts(parts)
    told = {loss.id for loss in left if ended.tells_of(loss.envelope.copy)}
    return left, _about(told, parts) if told else Shipment([], [])


def _about(job_ids: Collection[UUID], parts: Sequence[Shipment]) -> Shipment:
    """What is told of these jobs."""
    return Shipment(
        [job for part in parts for job in part.ended if job.id in job_ids],
        [record for part in parts for record in part.attempts if record.job_id in job_ids],
        [copy for part in parts for copy in part.returned if copy.id in job_ids],
    )


async def drop(session: Session, losses: Sequence[Loss]) -> None:
    """These are not to be run."""
    if losses:
        with session.writing("dismiss"):
            await _take_out(session, losses)


async def _take_out(session: Session, losses: Sequence[Loss]) -> None:
    await acknowledge(session.link, [loss.reply for loss in losses if loss.reply])
    await delete(session, [loss.seq for loss in losses if not loss.reply])


async def put_back(
    session: Session, losses: Sequence[Loss], max_losses: int, stale: Collection[UUID]
) -> Rescued:
    """Charge them and let them wait again, or fail; ``stale`` are those that the master says are not live."""
    rescued = Rescued()
    live = [loss for loss in losses if loss.id not in stale]
    cancelled = await session.registry.cancel_reasons([loss.envelope.copy for loss in live])
    ended: list[EndedJob] = []
    attempts: list[AttemptRecord] = []
    again: list[tuple[Loss, Envelope]] = []
    now = session.now()
    for loss in live:
        copy = loss.envelope.copy
        started = _started(loss)
        after, over = lost_verdict(copy.losses, started, max_losses)
        attempt = copy.attempt
        if after > copy.losses:
            attempt += 1
            error = JobError("lost", "lost: its worker vanished while it held the job")
            attempts.append(
                AttemptRecord(
                    copy.id,
                    copy.claim_no + 1,
                    attempt,
                    loss.started_at,
                    now,
                    AttemptOutcome.LOST,
                    error,
                    loss.worker_id,
                    None,
                )
            )
        counters = (attempt, copy.failures, after)
        facts = {"started_at": loss.started_at, "worker_id": loss.worker_id}
        claim_no = copy.claim_no + 2
        if loss.id in cancelled:
            error = JobError("cancelled", cancelled[loss.id] or "cancelled")
            ended.append(
                ended_copy(copy, JobStatus.CANCELLED, claim_no, counters, now, error=error, **facts)  # type: ignore[arg-type]
            )
        elif over:
            rescued.failed += 1
            error = JobError("lost", f"lost: its worker vanished {after} times")
            ended.append(
                ended_copy(copy, JobStatus.FAILED, claim_no, counters, now, error=error, **facts)  # type: ignore[arg-type]
            )
        else:
            waiting = copy._replace(claim_no=copy.claim_no + 1, attempt=attempt, losses=after)
            again.append((loss, Envelope(waiting, loss.envelope.recheck or loss.uncharged)))
    with session.writing("rescue"):
        shipment = Shipment(ended, attempts)
        if len(shipment):
            await session.outbox.store(shipment, session.timeout)
        if again:
            acks = await put_in_place(
                session,
                [
                    (envelope, loss.seq, f"{loss.id.hex}-{loss.envelope.copy.claim_no}-lost")
                    for loss, envelope in again
                ],
                session.timeout,
            )
            rescued.released = sum(1 for ack in acks if ack.seq)
            rescued.lanes = {envelope.copy.lane for _, envelope in again}
        await _take_out(session, losses)
        await session.registry.forget_cancels(cancelled)
    for lane in rescued.lanes:
        await session.wake(lane)
    return rescued


def _started(loss: Loss) -> bool | None:
    if loss.uncharged:
        return False
    if loss.started_at is not None:
        return True
    # From the first loss on, a run writes a mark before it starts: no mark then means no run.
    return False if loss.envelope.copy.losses else None
