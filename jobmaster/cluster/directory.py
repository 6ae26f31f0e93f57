"""Looking up jobs and changing those that exist: the sync core behind the scheduler's calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from ..domain.job import Attempt, Job, JobFilter, Page
from ..domain.names import check_definition_id, check_name
from ..domain.status import JobStatus
from ..engine.backoff import Backoff
from ..engine.completions import Completions
from ..errors import IllegalTransition, InvalidJob, JobNotFound, TransportUnavailable
from ..ports import CancelResult
from .answering import answering
from .backend import Agent, Backend
from .locator import Locator
from .producer import Producer
from .requests import RequestDesk, aware_utc

__all__ = ["JobDirectory", "job_filter"]

T = TypeVar("T")
_MOST_PER_PAGE = 1000


class JobDirectory:
    """Everything about jobs that exist. Blocking."""

    def __init__(
        self,
        backend: Backend,
        locator: Locator,
        producer: Producer,
        completions: Completions,
        wake: Callable[[str | None], None],
        cancel_here: Callable[[UUID], None],
    ) -> None:
        self._backend = backend
        self._locator = locator
        self._producer = producer
        self._completions = completions
        self._wake = wake
        self._cancel_here = cancel_here

    def get(self, job_id: UUID) -> Job:
        """The job; ``JobNotFound``, and ``TransportUnavailable`` when it may be where nobody answers."""
        _check_id(job_id)
        self._open()
        job = self._locator.get(job_id)
        if job is None:
            raise JobNotFound(job_id)
        return job

    def look(self, job_id: UUID) -> Job | None:
        """The job, or ``None`` while nobody answers who may know it; ``JobNotFound``."""
        _check_id(job_id)
        self._open()
        try:
            job = self._locator.get(job_id)
        except TransportUnavailable:
            return None
        if job is None:
            raise JobNotFound(job_id)
        return job

    def _open(self) -> None:
        """Open the master; with agents, which may know what is asked, one that does not answer is let be."""
        try:
            self._producer.ready()
        except TransportUnavailable:
            if not self._backend.distributed:
                raise

    def attempts(self, job_id: UUID) -> list[Attempt]:
        """Its runs so far; ``JobNotFound``."""
        self.get(job_id)
        with answering(f"the runs of job {job_id} cannot be read"):
            return self._locator.attempts(job_id)

    def find(self, criteria: JobFilter, limit: int, cursor: str | None) -> Page[Job]:
        """One page, newest first."""
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= _MOST_PER_PAGE:
            raise ValueError(f"limit must be a whole number from 1 to {_MOST_PER_PAGE}, not {limit!r}")
        after: UUID | None = None
        if cursor is not None:
            try:
                after = UUID(hex=cursor)
            except (ValueError, AttributeError, TypeError):
                raise ValueError(f"cursor {cursor!r} is not one that find_jobs returned") from None
        self._producer.ready()
        with answering("jobs cannot be looked for"):
            jobs = self._locator.find(criteria, limit + 1, after)
        more = len(jobs) > limit
        jobs = jobs[:limit]
        return Page(tuple(jobs), jobs[-1].id.hex if more else None)

    def count(self, criteria: JobFilter) -> int:
        """How many jobs fit."""
        self._producer.ready()
        with answering("jobs cannot be counted"):
            return self._locator.count(criteria)

    def cancel(self, job_id: UUID) -> bool:
        """Cancel a waiting job, or ask a running one to stop; ``False`` when it has ended."""
        _check_id(job_id)
        self._producer.check_writable()
        match self._where_it_lives(job_id, self._ask_cancel):
            case CancelResult.FINAL:
                return False
            case CancelResult.REQUESTED:
                self._cancel_here(job_id)
            case CancelResult.CANCELLED:
                self._completions.ended([job_id])
        return True

    def _ask_cancel(self, job: Job | None, home: Agent) -> CancelResult | None:
        result = home.settlement.cancel(job.id, "cancelled") if job is not None else CancelResult.NOT_FOUND
        if result is CancelResult.REQUESTED and home is self._backend.held and self._backend.distributed:
            # a held job that was given to an agent meanwhile: that one has to be asked
            return result if job is not None and not job.status.is_waiting else None
        return None if result is CancelResult.NOT_FOUND else result

    def reschedule(self, job_id: UUID, when: datetime) -> Job:
        """Move a waiting job to another instant; ``IllegalTransition`` when it runs or has ended."""
        instant = aware_utc(when, "when")
        _check_id(job_id)
        self._producer.check_writable()

        def ask(job: Job | None, home: Agent) -> bool | None:
            if job is None or home.settlement.reschedule(job.id, instant):
                return None if job is None else True
            if job.status.is_waiting:
                return None  # it was claimed, or moved, when we asked, and waits again by now
            raise IllegalTransition(
                f"job {job_id} is {job.status.value.replace('_', ' ')}: only a waiting job can be rescheduled"
            )

        self._where_it_lives(job_id, ask)
        job = self.get(job_id)
        self._wake(job.lane)
        return job

    def retry(self, job_id: UUID) -> Job:
        """Run a finished job again under its own id; ``IllegalTransition`` when it has not ended."""
        _check_id(job_id)
        self._producer.check_writable()

        def ask(job: Job | None, home: Agent) -> bool | None:
            if job is None:
                return None
            if not job.status.is_final:
                status = job.status.value.replace("_", " ")
                raise IllegalTransition(f"job {job_id} is {status}: only a finished job can be retried")
            if home is not self._backend.held:
                self._locator.ship(home)
            return self._backend.held.settlement.revive(job_id) or None

        self._where_it_lives(job_id, ask)
        job = self.get(job_id)
        self._wake(job.lane)
        return job

    def _where_it_lives(self, job_id: UUID, ask: Callable[[Job | None, Agent], T | None]) -> T:
        """Ask the store on which a job lives; again, while it moves from one to another.

        Raises ``JobNotFound``, and ``TransportUnavailable`` when its store does not answer."""
        deadline = time.monotonic() + self._backend.operation_timeout
        backoff = Backoff(0.01, 0.5)
        while True:
            job, home, silence = self._locator.locate(job_id)
            held = home is self._backend.held
            where = "the master" if held and self._backend.distributed else f"agent {home.name!r}"
            if silence is not None:
                raise TransportUnavailable(
                    f"job {job_id} is on {where}, which does not answer, and was not changed: {silence}"
                )
            with answering(f"job {job_id} is on {where} and cannot be changed now"):
                answer = ask(job, home)
            if answer is not None:
                return answer
            if job is None:
                raise JobNotFound(job_id)
            left = deadline - time.monotonic()
            if left <= 0:
                raise TransportUnavailable(f"job {job_id} is between two stores; try again in a moment")
            time.sleep(min(left, backoff.next()))


def _check_id(job_id: object) -> None:
    if not isinstance(job_id, UUID):
        raise TypeError(f"a job id is a uuid.UUID, not {type(job_id).__name__}")


def _schedule_id_fault(value: object) -> str | None:
    if not isinstance(value, str):
        return f"schedule_id must be text, not {type(value).__name__}"
    if any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in value):
        return f"schedule_id {value!r} holds control characters or lone surrogates"
    return None


def job_filter(
    desk: RequestDesk,
    status: JobStatus | str | Iterable[JobStatus | str] | None,
    lane: str | None,
    definition_id: str | None,
    metadata: Mapping[str, Any] | None,
    schedule_id: str | None,
    scheduled_from: datetime | None,
    scheduled_to: datetime | None,
) -> JobFilter:
    """A checked filter; ``ValueError`` (or ``InvalidJob``) names what is wrong."""
    for fault in (
        check_name("lane", lane) if lane is not None else None,
        check_definition_id(definition_id) if definition_id is not None else None,
        _schedule_id_fault(schedule_id) if schedule_id is not None else None,
    ):
        if fault is not None:
            raise InvalidJob(fault)
    if status is None:
        statuses: tuple[JobStatus, ...] = ()
    elif isinstance(status, (str, JobStatus)):
        statuses = (JobStatus(status),)
    else:
        statuses = tuple(JobStatus(item) for item in status)
    return JobFilter(
        statuses,
        lane,
        definition_id,
        desk.as_stored(metadata),
        schedule_id,
        None if scheduled_from is None else aware_utc(scheduled_from, "scheduled_from"),
        None if scheduled_to is None else aware_utc(scheduled_to, "scheduled_to"),
    )
