"""Decide purely what becomes of a job after a run; others write it down.

:func:`classify` looks at a claimed job and the :class:`Outcome` of its run and answers with a
:class:`StateChange`, a frozen value that a ``Settlement`` stores.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import NamedTuple
from uuid import UUID

from .durations import describe_duration
from .job import AttemptOutcome, ClaimedJob, JobError
from .retry import RetryPolicy
from .status import JobStatus

__all__ = [
    "AttemptRecord",
    "Outcome",
    "OutcomeKind",
    "RetryRules",
    "StateChange",
    "cancelled_unstarted",
    "classify",
    "defer_unknown",
    "hand_back",
    "lost_verdict",
    "plain_success",
    "unstorable",
]


class OutcomeKind(Enum):
    """How a run ended, as the runner saw it."""

    SUCCEEDED = auto()
    FAILED = auto()
    TIMED_OUT = auto()
    RETRY_LATER = auto()
    SNOOZED = auto()
    CANCELLED = auto()
    """By its own ``CancelJob`` or by a request that reached it."""
    FAILED_FOR_GOOD = auto()
    INTERRUPTED = auto()
    """Ended by a clean stop of the worker: a run, not a failure."""
    KILLED = auto()
    """Its child process died."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of one run. ``result`` is JSON text."""

    kind: OutcomeKind
    started_at: datetime
    finished_at: datetime
    result: str | None = None
    error: JobError | None = None
    exception: BaseException | None = None
    delay: timedelta | None = None
    """For ``RETRY_LATER`` and ``SNOOZED``: as the handler asked."""
    may_retry: bool = True
    """What the handler's own ``should_retry`` said."""
    log: str | None = None


@dataclass(frozen=True, slots=True)
class RetryRules:
    """The resolved retry options of one job: call over handler over cluster."""

    max_retries: int
    policy: RetryPolicy


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """A row of the attempt table, unique on (job, ``claim_no``)."""

    job_id: UUID
    claim_no: int
    number: int
    started_at: datetime | None
    finished_at: datetime | None
    outcome: AttemptOutcome
    error: JobError | None
    worker_id: UUID | None
    log: str | None


class StateChange(NamedTuple):
    """What to write about one claimed job. (A tuple, since one is made for every run.)

    A final ``status`` moves it to the history. ``READY`` and ``RETRYING`` give the claim up: the job is due
    ``delay`` after the store's present time, or, with ``delay`` ``None``, when it was due before.
    ``attempt``, ``failures``, ``losses`` are the counters after the change.
    """

    job: ClaimedJob
    status: JobStatus
    attempt: int
    failures: int
    losses: int
    started_at: datetime | None = None
    finished_at: datetime | None = None
    delay: timedelta | None = None
    result: str | None = None
    error: JobError | None = None
    unknown_since: datetime | None = None
    record: AttemptRecord | None = None
    worker_id: UUID | None = None


_new_tuple = tuple.__new__


def plain_success(
    job: ClaimedJob, started_at: datetime, finished_at: datetime, result: str | None, worker_id: UUID
) -> StateChange:
    """The verdict on a run that succeeded and logged nothing: no attempt row, the hot path."""
    # by the constructor of plain tuples, in a third of the time of the one that knows names and defaults
    return _new_tuple(
        StateChange,
        (
            job,
            JobStatus.SUCCEEDED,
            job.attempt + 1,
            job.failures,
            job.losses,
            started_at,
            finished_at,
            None,
            result,
            None,
            None,
            None,
            worker_id,
        ),
    )


_RECORDED = {
    OutcomeKind.SUCCEEDED: AttemptOutcome.SUCCEEDED,
    OutcomeKind.FAILED: AttemptOutcome.FAILED,
    OutcomeKind.FAILED_FOR_GOOD: AttemptOutcome.FAILED,
    OutcomeKind.TIMED_OUT: AttemptOutcome.TIMED_OUT,
    OutcomeKind.RETRY_LATER: AttemptOutcome.RETRY_LATER,
    OutcomeKind.SNOOZED: AttemptOutcome.SNOOZED,
    OutcomeKind.CANCELLED: AttemptOutcome.CANCELLED,
    OutcomeKind.INTERRUPTED: AttemptOutcome.INTERRUPTED,
    OutcomeKind.KILLED: AttemptOutcome.KILLED,
}

_IS_FAILURE = frozenset(
    {
        OutcomeKind.FAILED,
        OutcomeKind.FAILED_FOR_GOOD,
        OutcomeKind.TIMED_OUT,
        OutcomeKind.RETRY_LATER,
        OutcomeKind.KILLED,
    }
)


def classify(job: ClaimedJob, outcome: Outcome, rules: RetryRules, worker_id: UUID) -> StateChange:
    """The verdict on one run.

    ``max_retries=n`` allows n + 1 failures. A policy that raises counts as "no more retries" would be a
    silent loss, so its error is recorded and the default delay of one minute is taken.
    """
    kind = outcome.kind
    attempt = job.attempt + 1
    if kind is OutcomeKind.SUCCEEDED and outcome.log is None:
        return plain_success(job, outcome.started_at, outcome.finished_at, outcome.result, worker_id)
    failures = job.failures + (kind in _IS_FAILURE)
    error = outcome.error
    delay: timedelta | None = None
    match kind:
        case OutcomeKind.SUCCEEDED:
            status = JobStatus.SUCCEEDED
        case OutcomeKind.CANCELLED:
            status = JobStatus.CANCELLED
        case OutcomeKind.FAILED_FOR_GOOD:
            status = JobStatus.FAILED
        case OutcomeKind.INTERRUPTED:
            status, delay = _waiting(failures), timedelta(0)
        case OutcomeKind.SNOOZED:
            status, delay = _waiting(failures), outcome.delay or timedelta(0)
        case OutcomeKind.RETRY_LATER:
            if failures > rules.max_retries:
                status = JobStatus.FAILED
            else:
                status, delay = JobStatus.RETRYING, outcome.delay or timedelta(0)
        case OutcomeKind.FAILED | OutcomeKind.TIMED_OUT | OutcomeKind.KILLED:
            delay, error = _backoff(failures, outcome, rules)
            status = JobStatus.FAILED if delay is None else JobStatus.RETRYING
    record = AttemptRecord(
        job.id,
        job.claim_no,
        attempt,
        outcome.started_at,
        outcome.finished_at,
        _RECORDED[kind],
        error,
        worker_id,
        outcome.log,
    )
    return StateChange(
        job,
        status,
        attempt,
        failures,
        job.losses,
        outcome.started_at,
        outcome.finished_at,
        delay,
        outcome.result if status is JobStatus.SUCCEEDED else None,
        error,
        record=record,
        worker_id=worker_id,
    )


def _waiting(failures: int) -> JobStatus:
    return JobStatus.RETRYING if failures else JobStatus.READY


def _backoff(failures: int, outcome: Outcome, rules: RetryRules) -> tuple[timedelta | None, JobError | None]:
    error = outcome.error
    if not outcome.may_retry or failures > rules.max_retries:
        return None, error
    try:
        return rules.policy.delay(failures, outcome.exception), error
    except Exception as fault:
        shown = error or JobError("failed", "the run failed")
        note = f"{shown.message} (its retry policy raised {type(fault).__name__}: {fault})"
        return timedelta(minutes=1), JobError(shown.type, note, shown.traceback)


def hand_back(job: ClaimedJob) -> StateChange:
    """Give an unstarted job back: not a run, due when it was due."""
    return StateChange(
        job,
        _waiting(job.failures),
        job.attempt,
        job.failures,
        job.losses,
        unknown_since=job.unknown_since,
    )


def cancelled_unstarted(job: ClaimedJob, now: datetime, worker_id: UUID) -> StateChange:
    """A job that was cancelled before its handler began: that is no run."""
    return StateChange(
        job,
        JobStatus.CANCELLED,
        job.attempt,
        job.failures,
        job.losses,
        finished_at=now,
        error=JobError("cancelled", "cancelled before it started"),
        worker_id=worker_id,
    )


def defer_unknown(
    job: ClaimedJob, now: datetime, limit: timedelta, delay: timedelta, worker_id: UUID
) -> StateChange:
    """A job whose definition id this worker does not know waits for one that does, up to ``limit``."""
    since = job.unknown_since or now
    if now - since < limit:
        return StateChange(
            job,
            _waiting(job.failures),
            job.attempt,
            job.failures,
            job.losses,
            delay=delay,
            unknown_since=since,
        )
    error = JobError(
        "UnknownHandler",
        f"no worker that knows definition id {job.definition_id!r} came within {describe_duration(limit)}",
    )
    record = AttemptRecord(
        job.id, job.claim_no, job.attempt, None, now, AttemptOutcome.FAILED, error, worker_id, None
    )
    return StateChange(
        job,
        JobStatus.FAILED,
        job.attempt,
        job.failures,
        job.losses,
        finished_at=now,
        error=error,
        record=record,
        worker_id=worker_id,
    )


def unstorable(change: StateChange, reason: str, now: datetime) -> StateChange:
    """The verdict in place of one that the store refuses for its content: the job fails and says why."""
    error = JobError("StoreError", f"its outcome cannot be stored: {reason}")
    job = change.job
    number = change.attempt
    record = AttemptRecord(
        job.id,
        job.claim_no,
        number,
        change.started_at,
        now,
        AttemptOutcome.FAILED,
        error,
        change.worker_id,
        None,
    )
    return StateChange(
        job,
        JobStatus.FAILED,
        number,
        change.failures,
        change.losses,
        change.started_at,
        now,
        error=error,
        record=record,
        worker_id=change.worker_id,
    )


def lost_verdict(losses: int, started: bool | None, max_losses: int) -> tuple[int, bool]:
    """What a rescue charges: the losses after it, and whether the job has failed as ``lost``.

    ``started`` is ``None`` when nobody knows whether the run had begun. The first loss is charged unless
    the job is known to be unstarted; from then on only a job that had started is charged.
    """
    charged = started is not False if losses == 0 else started is True
    after = losses + charged
    return after, after > max_losses
