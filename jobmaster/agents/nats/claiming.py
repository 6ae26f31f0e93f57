"""Claims: what is delivered, and which of it may be given to the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from ...domain.copies import EndedJob, JobCopy, Shipment
from ...domain.job import ClaimedJob
from ...domain.status import BucketStatus, WorkerMode
from ...errors import StoreError
from ...ports.transport import ClaimRequest
from .acknowledging import acknowledge
from .claims import Delivered, Intake, Stay
from .envelope import micros
from .store import Session
from .waiting import superseded

__all__ = [
    "Doubt",
    "Harvest",
    "Whereabouts",
    "admit",
    "examine",
    "harvest",
    "keep_for_later",
    "prefetch",
    "whereabouts",
]

_ASK_AGAIN = 1_000_000
"""Microseconds after which a claim is looked at again that cannot be checked because the master is away."""
_FAR = 10_000_000
"""A job due later than in so many microseconds was sent here by mistake, and goes to the master."""
_MOST_KEPT = 5_000
"""Jobs of a lane and priority that are kept here until they are due."""
_ROUNDS = 8


@dataclass(slots=True)
class Harvest:
    """What one claim brought. ``lost``: delivered before, to others. ``doubtful``: to be looked into."""

    ready: list[ClaimedJob] = field(default_factory=list)
    doubtful: list[tuple[Delivered, UUID]] = field(default_factory=list)
    lost: list[Delivered] = field(default_factory=list)


def _stay_for(session: Session, claim: ClaimRequest) -> Stay | None:
    """The stay whose buckets these are, if all of them may claim."""
    wanted = [claim.buckets[p] for p, limit in claim.limits.items() if limit > 0]
    stays = {session.claims.stay_of(bucket) for bucket in wanted}
    if len(stays) != 1:
        return None
    (stay,) = stays
    if stay is None or not stay.trusted or stay.record.status != BucketStatus.ACTIVE.value:
        return None
    return stay


async def prefetch(session: Session, claim: ClaimRequest) -> frozenset[int]:
    """Let come what a claim is about to take; the priorities that it need not ask for any more. Whatever goes
    wrong is for the claim itself to tell."""
    if _stay_for(session, claim) is None:
        return frozenset()
    wanted = [(session.intake(claim.lane, p), limit) for p, limit in claim.limits.items() if limit > 0]
    pulled = [(intake, limit) for intake, limit in wanted if _worth_a_pull(session, intake)]
    results = await asyncio.gather(*(intake.pull(limit) for intake, limit in pulled), return_exceptions=True)
    failed: set[int] = set()
    for (intake, _), result in zip(pulled, results, strict=True):
        if isinstance(result, BaseException):
            if not isinstance(result, StoreError):
                raise result
            failed.add(intake.priority)
    return frozenset(intake.priority for intake, _ in wanted if intake.priority not in failed)


def _worth_a_pull(session: Session, intake: Intake) -> bool:
    """Whether some may be there: it was said, or nobody would say so, or it was not looked for a while."""
    return not session.ears or intake.stirred or intake.forgotten


async def harvest(session: Session, claim: ClaimRequest, asked: Collection[int] = ()) -> Harvest:
    """Pull what fits and sort it; of the priorities in ``asked`` what fits has come already."""
    stay = _stay_for(session, claim)
    if stay is None:
        return Harvest()
    limits = {p: n for p, n in sorted(claim.limits.items(), reverse=True) if n > 0}
    found = Harvest()
    intakes = [(session.intake(claim.lane, priority), limit) for priority, limit in limits.items()]
    # most have nothing to wait for, and one to wait for needs no task of its own
    lots = [_Lot(session, intake, limit, intake.priority in asked) for intake, limit in intakes]
    waiting = [lot for lot in lots if not lot.fill()]
    try:
        if len(waiting) == 1:
            await waiting[0].gather()
        elif waiting:
            # each to its end: none may take anything in after another has failed
            results = await asyncio.gather(*(lot.gather() for lot in waiting), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        for lot in lots:
            await lot.send_back()
    except BaseException:
        for lot in lots:
            lot.put_back()
        raise
    if not stay.trusted:
        # the answer came too late: all of it waits for the next claim, or for others
        for lot in lots:
            lot.put_back()
        return Harvest()
    for lot in lots:
        bucket = claim.buckets[lot.intake.priority]
        for delivered in lot.due:
            if delivered.times > 1:
                found.lost.append(delivered)
            elif delivered.recheck or delivered.waited:
                found.doubtful.append((delivered, bucket))
            else:
                found.ready.append(admit(stay, delivered, bucket))
    return found


class _Lot:
    """Up to ``limit`` jobs of one intake that are due, those kept first. ``asked``: what fits has come."""

    def __init__(self, session: Session, intake: Intake, limit: int, asked: bool) -> None:
        self.intake = intake
        self.far: list[Delivered] = []
        """Those sent here by mistake: due too far ahead."""
        self._session = session
        self._limit = limit
        self._asked = asked
        intake.asked_at = time.monotonic()
        self.due = intake.due(micros(session.now()), limit)

    @property
    def _missing(self) -> int:
        return self._limit - len(self.due)

    def fill(self) -> bool:
        """Take what has come; whether nothing more is to be asked for."""
        for _ in range(_ROUNDS):
            missing = self._missing
            if missing <= 0 or self.intake.waiting >= _MOST_KEPT:
                return True
            arrived = min(missing, len(self.intake.puller.fresh))
            if not arrived:
                return self._asked or not _worth_a_pull(self._session, self.intake)
            self._asked = False
            self._take(missing)
            if arrived < missing:
                return True
        return True

    async def gather(self) -> None:
        """Ask for what is missing, and take it, until there is no more or enough."""
        for _ in range(_ROUNDS):
            missing = self._missing
            if missing <= 0 or self.intake.waiting >= _MOST_KEPT:
                return
            arrived = await self.intake.pull(missing)
            self._take(missing)
            if arrived < missing:
                return

    async def send_back(self) -> None:
        """Give the master what is due too far ahead."""
        if self.far:
            await _return(self._session, self.far)
            self.far = []

    def put_back(self) -> None:
        """Nothing of it was given out: the next claim looks at it again. What is far may be on its way to the
        master already, so it is left to be delivered again."""
        for delivered in self.due:
            self.intake.keep(delivered, 0)
        self.due = []

    def _take(self, most: int) -> None:
        now = micros(self._session.now())
        for delivered in self.intake.arrived(most):
            ready_at = delivered.ready_at
            if ready_at <= now:
                self.due.append(delivered)
            elif not delivered.moved and ready_at - now > _FAR:
                self.far.append(delivered)
            else:
                self.intake.keep(delivered, ready_at)


async def _return(session: Session, far: Sequence[Delivered]) -> None:
    copies = [item.envelope.copy._replace(claim_no=item.envelope.copy.claim_no + 1) for item in far]
    session.logger.warning("%d jobs are due too far ahead for a NATS agent: the master holds them", len(far))
    with session.writing("send_back"):
        await session.outbox.store(Shipment([], [], copies), session.timeout)
        await acknowledge(session.link, [item.reply for item in far])


def admit(stay: Stay, delivered: Delivered, bucket: UUID, *, cancel: bool = False) -> ClaimedJob:
    """Give a delivered job to the engine."""
    job = delivered.claimed(bucket, cancel=cancel)
    delivered.job = job
    stay.claims[job.id] = delivered
    return job


def keep_for_later(session: Session, items: Sequence[Delivered]) -> None:
    """Look at these again in a moment."""
    at = micros(session.now()) + _ASK_AGAIN
    for item in items:
        session.intake(item.envelope.copy.lane, item.envelope.copy.priority).keep(item, at)


@dataclass(slots=True)
class Doubt:
    """What is known here of doubtful deliveries: ``gone`` are not to be run, ``cancel`` are to be cancelled,
    of ``ask`` the master has to be asked."""

    gone: list[Delivered] = field(default_factory=list)
    cancel: frozenset[UUID] = frozenset()
    ask: list[Delivered] = field(default_factory=list)
    later: list[Delivered] = field(default_factory=list)
    """Perhaps somebody runs them: whoever took them away met their holder."""


async def examine(session: Session, items: Sequence[Delivered]) -> Doubt:
    """Look where a job may have gone, in the order in which it goes: another message in its place, the
    outbox; then, by whoever called this, the master."""
    doubt = Doubt()
    if not items:
        return doubt
    rested = [item for item in items if item.waited or item.envelope.taken is not None]
    gone = await superseded(session, rested)
    doubt.cancel = frozenset(await session.registry.cancel_reasons([i.envelope.copy for i in items]))
    rechecked = [item for item in items if item.envelope.recheck]
    if rechecked:
        ended = await whereabouts(session)
        held = await _held_elsewhere(session, rechecked)
        doubt.later = [item for item in rechecked if item.envelope.copy.id in held]
        for item in rechecked:
            if ended.tells_of(item.envelope.copy):
                gone.add(item.seq)
    doubt.gone = [item for item in items if item.seq in gone]
    doubt.later = [item for item in doubt.later if item.seq not in gone]
    doubt.ask = [item for item in rechecked if item.seq not in gone]
    return doubt


async def _held_elsewhere(session: Session, items: Sequence[Delivered]) -> set[UUID]:
    """Those that rested while they were moved, and that a living worker says it holds."""
    rested = {item.envelope.copy.id: item.seq for item in items if item.envelope.taken is not None}
    if not rested:
        return set()
    now = micros(session.now())
    for stay in session.claims.stays:
        stay.describe()
    own = {stay.record.key: stay.record for stay in session.claims.stays}
    records = [own.get(record.key, record) for record in await session.registry.records()]
    return {
        held.job_id
        for record in records
        if record.mode != WorkerMode.DRAIN.value and record.lease_until > now
        for held in record.held
        if held.job_id in rested and held.seq != rested[held.job_id]
    }


class Whereabouts:
    """The jobs that ended here, or went to the master, and of which it may not know."""

    def __init__(self, parts: Sequence[Shipment]) -> None:
        self._latest: dict[UUID, tuple[int, int]] = {}
        for part in parts:
            gone: list[EndedJob | JobCopy] = [*part.ended, *part.returned]
            for job in gone:
                told = (job.placement, job.claim_no)
                self._latest[job.id] = max(told, self._latest.get(job.id, told))

    def tells_of(self, copy: JobCopy) -> bool:
        """Whether the job of this message, in which ``claim_no`` counts the claims before, came to its end.

        An end that an earlier claim came to is none: a worker that was frozen in mid-settle tells of it when
        others have long put this message in the place of its own, and the master refuses it."""
        return self._latest.get(copy.id, (-1, -1)) > (copy.placement, copy.claim_no)


async def whereabouts(session: Session) -> Whereabouts:
    """What the outbox tells now."""
    return Whereabouts(await session.outbox.refresh())
