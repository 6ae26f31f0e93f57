"""What a NATS agent knows of jobs: those in its stream, and those in its outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ...domain.copies import EndedJob, JobCopy, Shipment
from ...domain.job import Attempt, AttemptOutcome, Job, JobError, JobFilter, Progress
from ...domain.occurrence import catchup_of
from ...domain.status import JobStatus, Priority
from ...domain.verdict import AttemptRecord
from ...payload.jsontext import read
from ...ports.master import QueueDepth
from .envelope import instant, micros
from .link import ApiFault
from .registry import Held, Running
from .store import NatsStore, Session
from .streams import CONSUMER_GONE
from .waiting import Found, delivered_up_to, find, last_of, walk

__all__ = ["NatsJobReader", "live_job"]

_AT_ONCE = 200
"""Messages that are asked for at a time."""


class _Whereabouts:
    """What is needed to say what state a message is in: who holds what, and how far was delivered."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.held: dict[UUID, tuple[UUID, Held]] = {}
        self.running: dict[UUID, Running] = {}
        self.saved = 0
        self.delivered: dict[tuple[str, int], int] = {}

    async def load(self) -> _Whereabouts:
        """Read what all have noted; of this process, what it knows."""
        session = self._session
        own = {stay.record.key: stay for stay in session.claims.stays}
        for stored in await session.registry.records():
            stay = own.get(stored.key)
            if stay is not None:
                stay.describe()
            record = stored if stay is None else stay.record
            if record.mode == "drain":
                continue
            for held in record.held:
                self.held[held.job_id] = (record.worker_id, held)
            for running in record.running:
                self.running[running.job_id] = running
        self.saved = (await session.registry.cursor())[0]
        return self

    async def status(self, found: Found) -> tuple[JobStatus, UUID | None, Running | None]:
        """The state of a job, who has it, and its start."""
        copy = found.envelope.copy
        holder = self.held.get(copy.id)
        if holder is not None and holder[1].seq == found.seq:
            running = self.running.get(copy.id)
            state = JobStatus.ASSIGNED_TO_BUCKET if running is None else JobStatus.PROCESSING
            return state, holder[0], running
        if found.envelope.ready_at <= micros(self._session.now()) and await self._was_delivered(found):
            return JobStatus.ASSIGNED_TO_BUCKET, None, None
        if copy.failures:
            return JobStatus.RETRYING, None, None
        return (JobStatus.READY if found.seq <= self.saved else JobStatus.SAVE_PENDING), None, None

    async def _was_delivered(self, found: Found) -> bool:
        copy = found.envelope.copy
        place = (copy.lane, copy.priority)
        if place not in self.delivered:
            self.delivered[place] = await delivered_up_to(self._session, *place)
        return found.seq <= self.delivered[place]


async def live_job(session: Session, job_id: UUID) -> Job | None:
    """The live job of this id: in the stream, or on its way to the master."""
    found = await find(session, job_id)
    if found is None:
        for part in await session.outbox.refresh():
            for copy in part.returned:
                if copy.id == job_id:
                    return _shown(session, copy, JobStatus.RETRYING if copy.failures else JobStatus.READY)
        return None
    return await _as_shown(session, found, await _Whereabouts(session).load())


async def _as_shown(session: Session, found: Found, places: _Whereabouts) -> Job:
    status, worker_id, running = await places.status(found)
    return _shown(session, found.envelope.copy, status, worker_id, running)


def _shown(
    session: Session,
    copy: JobCopy,
    status: JobStatus,
    worker_id: UUID | None = None,
    running: Running | None = None,
) -> Job:
    progress = None
    if running is not None and running.fraction is not None:
        progress = Progress(running.fraction, running.message)
    return Job(
        **_facts(session, copy),
        status=status,
        error=_error(copy),
        started_at=None if running is None else instant(running.started_at),
        progress=progress,
        worker_id=worker_id,
    )


def _finished(session: Session, ended: EndedJob) -> Job:
    return Job(
        **_facts(session, ended),
        status=ended.status,
        error=ended.error,
        started_at=ended.started_at,
        finished_at=ended.finished_at,
        result=None if ended.result is None else read(ended.result),
        worker_id=ended.worker_id,
    )


def _error(copy: JobCopy) -> JobError | None:
    if copy.error_type is None:
        return None
    return JobError(copy.error_type, copy.error_message or "", copy.error_traceback)


def _facts(session: Session, copy: JobCopy | EndedJob) -> dict[str, Any]:
    is_catchup, missed_count = catchup_of(copy.metadata)
    return {
        "id": copy.id,
        "definition_id": copy.definition_id,
        "data": read(copy.data),
        "metadata": {} if copy.metadata is None else read(copy.metadata),
        "lane": copy.lane,
        "priority": Priority(copy.priority),
        "scheduled_at": copy.run_at,
        "enqueued_at": copy.enqueued_at,
        "attempt": copy.attempt,
        "failures": copy.failures,
        "losses": copy.losses,
        "agent_connection": session.names.agent,
        "schedule_id": copy.schedule_id,
        "unique_key": copy.unique_key,
        "occurrence_at": copy.occurrence_at,
        "is_catchup": is_catchup,
        "missed_count": missed_count,
    }


def _attempt(record: AttemptRecord) -> Attempt:
    return Attempt(
        record.number,
        record.started_at,
        record.finished_at,
        record.outcome,
        record.error,
        record.worker_id,
        record.log,
    )


class NatsJobReader:
    """``JobReader`` on a :class:`NatsStore`. What filters by more than a lane reads every message."""

    def __init__(self, store: NatsStore) -> None:
        self._store = store

    def get_job(self, job_id: UUID) -> Job | None:
        return self._store.call(lambda session: _get(session, job_id))

    def find_jobs(
        self, criteria: JobFilter, limit: int, after: UUID | None, without: Collection[UUID] = ()
    ) -> list[Job]:
        return self._store.call(lambda session: _find(session, criteria, limit, after))

    def count_jobs(
        self, criteria: JobFilter, without: Collection[UUID] = (), excluding: Collection[UUID] = ()
    ) -> int:
        excluded = frozenset(excluding)
        return self._store.call(lambda session: _count(session, criteria, excluded))

    def ended(self, criteria: JobFilter, most: int) -> list[UUID]:
        return self._store.call(lambda session: _ended(session, criteria, most))

    def attempts(self, job_id: UUID) -> list[Attempt]:
        return self._store.call(lambda session: _attempts(session, job_id))

    def depths(self, without: Collection[UUID] = ()) -> list[QueueDepth]:
        return self._store.call(_depths)


async def _get(session: Session, job_id: UUID) -> Job | None:
    # Twice, because a job may go from the stream to the outbox between the looks.
    for _ in range(2):
        live = await live_job(session, job_id)
        if live is not None:
            return live
        for part in await session.outbox.refresh():
            for ended in part.ended:
                if ended.id == job_id:
                    return _finished(session, ended)
    return None


def _fits(job: Job, criteria: JobFilter) -> bool:
    wanted = criteria
    return (
        (not wanted.status or job.status in wanted.status)
        and wanted.lane in (None, job.lane)
        and wanted.definition_id in (None, job.definition_id)
        and wanted.schedule_id in (None, job.schedule_id)
        and (wanted.scheduled_from is None or job.scheduled_at >= wanted.scheduled_from)
        and (wanted.scheduled_to is None or job.scheduled_at < wanted.scheduled_to)
        and all(
            key in job.metadata and job.metadata[key] == value and type(job.metadata[key]) is type(value)
            for key, value in wanted.metadata.items()
        )
    )


async def _outbox(session: Session) -> tuple[dict[UUID, EndedJob], dict[UUID, JobCopy]]:
    """What the outbox holds, each job once: the first end of its latest claim, which the master will take."""
    parts: Sequence[Shipment] = await session.outbox.refresh()
    ended: dict[UUID, EndedJob] = {}
    returned: dict[UUID, JobCopy] = {}
    for part in parts:
        for job in part.ended:
            before = ended.get(job.id)
            if before is None or (before.placement, before.claim_no) < (job.placement, job.claim_no):
                ended[job.id] = job
        for copy in part.returned:
            returned[copy.id] = copy
    return ended, returned


def _is_late(ended: EndedJob, message: Found) -> bool:
    """Whether this is the end of a claim that was lost before this message took the place of its own: it
    counts for nothing. See :meth:`.claiming.Whereabouts.tells_of`."""
    copy = message.envelope.copy
    return (ended.placement, ended.claim_no) <= (copy.placement, copy.claim_no)


async def _ids(session: Session, lane: str | None) -> dict[UUID, str]:
    """The jobs in the stream, by id, with their subjects."""
    body = {"subjects_filter": session.names.jobs_of(lane or "*")}
    state = (await session.link.api(f"STREAM.INFO.{session.names.jobs}", body, timeout=5.0))["state"]
    return {UUID(hex=subject.rsplit(".", 1)[1]): subject for subject in state.get("subjects") or {}}


async def _find(session: Session, criteria: JobFilter, limit: int, after: UUID | None) -> list[Job]:
    subjects = await _ids(session, criteria.lane)
    ended, returned = await _outbox(session)
    candidates = sorted({*subjects, *ended, *returned}, reverse=True)
    if after is not None:
        candidates = [job_id for job_id in candidates if job_id < after]
    found: list[Job] = []
    places = await _Whereabouts(session).load()
    for start in range(0, len(candidates), _AT_ONCE):
        part = candidates[start : start + _AT_ONCE]
        live = [job_id for job_id in part if job_id in subjects]
        messages = dict(zip(live, await last_of(session, [subjects[i] for i in live]), strict=True))
        if any(messages[i] is None and i not in ended and i not in returned for i in live):
            # settled since the look at the outbox: it is there now, or on the master, which is asked later
            ended, returned = await _outbox(session)
        for job_id in part:
            job = await _one(session, job_id, messages.get(job_id), ended, returned, places)
            if job is not None and _fits(job, criteria):
                found.append(job)
                if len(found) >= limit:
                    return found
    return found


async def _one(
    session: Session,
    job_id: UUID,
    message: Found | None,
    ended: dict[UUID, EndedJob],
    returned: dict[UUID, JobCopy],
    places: _Whereabouts,
) -> Job | None:
    if job_id in ended and (message is None or not _is_late(ended[job_id], message)):
        return _finished(session, ended[job_id])
    if message is not None:
        return await _as_shown(session, message, places)
    copy = returned.get(job_id)
    if copy is None:
        return None
    return _shown(session, copy, JobStatus.RETRYING if copy.failures else JobStatus.READY)


async def _count(session: Session, criteria: JobFilter, excluding: Collection[UUID]) -> int:
    if _by_lane_only(criteria):
        subjects = await _ids(session, criteria.lane)
        ended, returned = await _outbox(session)
        for job_id in await _living(session, subjects, ended):
            del ended[job_id]
        live = {*subjects, *_of_lane(returned.values(), criteria.lane)} - ended.keys()
        if criteria.status:
            return len(live)
        final = {*_of_lane(ended.values(), criteria.lane)} - set(excluding)
        return len(live) + len(final)
    return len(await _find(session, criteria, 10**9, None))


async def _living(session: Session, subjects: dict[UUID, str], ended: dict[UUID, EndedJob]) -> list[UUID]:
    """Of the jobs that have an end and a message those whose end came late."""
    both = [job_id for job_id in ended if job_id in subjects]
    found: list[UUID] = []
    for start in range(0, len(both), _AT_ONCE):
        part = both[start : start + _AT_ONCE]
        messages = await last_of(session, [subjects[job_id] for job_id in part])
        found += [i for i, there in zip(part, messages, strict=True) if there and _is_late(ended[i], there)]
    return found


_LIVE = frozenset(status for status in JobStatus if not status.is_final)


def _by_lane_only(criteria: JobFilter) -> bool:
    """Whether subjects tell all that is asked: all jobs of a lane or of all lanes, or all live ones."""
    wanted = JobFilter(criteria.status, criteria.lane)
    return criteria == wanted and (not criteria.status or frozenset(criteria.status) == _LIVE)


def _of_lane(jobs: Iterable[EndedJob | JobCopy], lane: str | None) -> list[UUID]:
    return [job.id for job in jobs if lane in (None, job.lane)]


async def _ended(session: Session, criteria: JobFilter, most: int) -> list[UUID]:
    ended, _ = await _outbox(session)
    fitting = [job_id for job_id, job in ended.items() if _fits(_finished(session, job), criteria)]
    return fitting[:most]


async def _attempts(session: Session, job_id: UUID) -> list[Attempt]:
    found: list[Attempt] = []
    ended: EndedJob | None = None
    claims: set[int] = set()
    for part in await session.outbox.refresh():
        for record in part.attempts:
            if record.job_id == job_id and record.claim_no not in claims:
                claims.add(record.claim_no)
                found.append(_attempt(record))
        for job in part.ended:
            if job.id == job_id and ended is None:
                ended = job
    if ended is not None and ended.status is JobStatus.SUCCEEDED and ended.claim_no not in claims:
        found.append(
            Attempt(
                ended.attempt,
                ended.started_at,
                ended.finished_at,
                AttemptOutcome.SUCCEEDED,
                worker_id=ended.worker_id,
            )
        )
    return sorted(found, key=lambda attempt: attempt.number)


async def _depths(session: Session) -> list[QueueDepth]:
    """By what the consumers count; lanes that never had a worker are counted by their subjects."""
    info = await session.link.api(f"STREAM.INFO.{session.names.jobs}")
    if not info["state"]["messages"]:
        return []
    subjects = await _ids(session, None)
    counts: dict[tuple[str, int], int] = {}
    for subject in subjects.values():
        _, lane, priority, _ = subject.rsplit(".", 3)
        place = (lane, int(priority))
        counts[place] = counts.get(place, 0) + 1
    return [
        depth
        for depths in await asyncio.gather(
            *(_depth(session, *place, n) for place, n in sorted(counts.items()))
        )
        for depth in depths
    ]


async def _depth(session: Session, lane: str, priority: int, jobs: int) -> list[QueueDepth]:
    pending, oldest = jobs, await _oldest(session, lane, priority)
    try:
        consumer = session.names.consumer(lane, priority)
        info = await session.link.api(f"CONSUMER.INFO.{session.names.jobs}.{consumer}")
        pending = min(jobs, int(info["num_pending"]))
    except ApiFault as fault:
        if fault.code != CONSUMER_GONE:
            raise
    agent = session.names.agent
    states = ((JobStatus.READY, pending), (JobStatus.ASSIGNED_TO_BUCKET, jobs - pending))
    return [QueueDepth(agent, lane, priority, status, count, oldest) for status, count in states if count > 0]


async def _oldest(session: Session, lane: str, priority: int) -> datetime:
    first = await walk(session, 1, session.names.jobs_of(lane, priority), 1)
    return first[0].envelope.copy.run_at if first else session.now()
