"""From what a handler raised, and what it had been told, to the outcome of its run."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from ..domain.durations import describe_duration
from ..domain.job import JobError
from ..domain.verdict import Outcome, OutcomeKind
from ..handlers import CancelJob, FailJob, RetryLater, Run, Snooze
from .children import ChildDied
from .errortext import describe_error, storable

__all__ = ["judge"]


def judge(run: Run, raised: BaseException | None, text: str | None, now: datetime) -> Outcome:
    """The outcome of a run that raised, or that had been asked to stop.

    A run that ends well although it was asked to stop has succeeded, except after its timeout: then the
    time it was given had passed, whatever it still returned.
    """
    kind, error, delay, may_retry = _verdict(run, raised)
    return Outcome(
        kind,
        run.started_at,
        now,
        text if kind is OutcomeKind.SUCCEEDED else None,
        error,
        raised,
        delay,
        may_retry,
        run.log_text(),
    )


def _verdict(
    run: Run, raised: BaseException | None
) -> tuple[OutcomeKind, JobError | None, timedelta | None, bool]:
    reason = run.cancel_reason
    stopped = isinstance(raised, (asyncio.CancelledError, CancelJob, ChildDied))
    if reason == "timeout":
        message = f"timed out after {describe_duration(timedelta(seconds=run.timeout))}"
        error = JobError("timeout", message, describe_error(raised).traceback if raised else None)
        return OutcomeKind.TIMED_OUT, error, None, True
    if raised is None:
        return OutcomeKind.SUCCEEDED, None, None, True
    if reason == "cancelled":
        error = JobError("cancelled", "cancelled while running") if stopped else describe_error(raised)
        return OutcomeKind.CANCELLED, error, None, True
    if reason == "interrupted" and stopped:
        return OutcomeKind.INTERRUPTED, JobError("interrupted", "its worker was stopped"), None, True
    match raised:
        case Snooze():
            return OutcomeKind.SNOOZED, None, raised.delay, True
        case RetryLater():
            return OutcomeKind.RETRY_LATER, describe_error(raised), raised.delay, True
        case CancelJob():
            return OutcomeKind.CANCELLED, JobError("cancelled", _text(raised)), None, True
        case FailJob():
            return OutcomeKind.FAILED_FOR_GOOD, JobError("failed", _text(raised)), None, True
        case ChildDied():
            return OutcomeKind.KILLED, describe_error(raised), None, True
        case _:
            return OutcomeKind.FAILED, describe_error(raised), None, _may_retry(run, raised)


def _may_retry(run: Run, raised: BaseException) -> bool:
    try:
        return run.bound.should_retry(raised, run)
    except Exception as fault:
        told = describe_error(fault)
        run.site.logger.error(
            "should_retry of %r raised %s: %s", run.job.definition_id, told.type, told.message
        )
        return True


def _text(raised: BaseException) -> str:
    return storable(str(raised), 8_000)
