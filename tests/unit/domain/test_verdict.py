"""Verdicts: what becomes of a job, decided without any store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from jobmaster.domain.job import AttemptOutcome, ClaimedJob, JobError
from jobmaster.domain.retry import Retry
from jobmaster.domain.status import JobStatus
from jobmaster.domain.verdict import (
    Outcome,
    OutcomeKind,
    RetryRules,
    classify,
    defer_unknown,
    hand_back,
    lost_verdict,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WORKER = uuid4()
RULES = RetryRules(2, Retry.fixed(7))


def claimed(**changes: object) -> ClaimedJob:
    job = ClaimedJob(
        id=uuid4(), bucket_id=uuid4(), claim_no=4, definition_id="d", lane="default", priority=3,
        run_at=NOW, enqueued_at=NOW, attempt=0, failures=0, losses=0, recheck=False,
        cancel_requested=False, data="{}", metadata=None, timeout_ms=None, max_retries=None, retry=None,
        unknown_since=None, schedule_id=None, occurrence_at=None,
    )  # fmt: skip
    return job._replace(**changes)


def outcome(kind: OutcomeKind, **more: object) -> Outcome:
    return Outcome(kind, NOW, NOW + timedelta(seconds=1), **more)  # type: ignore[arg-type]


def test_a_plain_success_needs_no_attempt_row() -> None:
    change = classify(claimed(), outcome(OutcomeKind.SUCCEEDED, result="1"), RULES, WORKER)
    assert (change.status, change.attempt, change.result) == (JobStatus.SUCCEEDED, 1, "1")
    assert change.record is None


def test_a_success_that_logged_keeps_its_log() -> None:
    change = classify(claimed(), outcome(OutcomeKind.SUCCEEDED, log="hello"), RULES, WORKER)
    assert change.status is JobStatus.SUCCEEDED
    assert change.record is not None
    assert (change.record.outcome, change.record.log) == (AttemptOutcome.SUCCEEDED, "hello")


@pytest.mark.parametrize(
    ("kind", "recorded"),
    [
        (OutcomeKind.FAILED, AttemptOutcome.FAILED),
        (OutcomeKind.TIMED_OUT, AttemptOutcome.TIMED_OUT),
        (OutcomeKind.KILLED, AttemptOutcome.KILLED),
    ],
)
def test_failures_are_retried_up_to_max_retries_and_then_fail(
    kind: OutcomeKind, recorded: AttemptOutcome
) -> None:
    job, statuses = claimed(), []
    for _ in range(3):
        change = classify(job, outcome(kind, error=JobError("E", "m")), RULES, WORKER)
        statuses.append((change.status, change.delay, change.failures))
        assert change.record is not None
        assert change.record.outcome is recorded
        job = job._replace(attempt=change.attempt, failures=change.failures)
    seven = timedelta(seconds=7)
    assert statuses == [
        (JobStatus.RETRYING, seven, 1),
        (JobStatus.RETRYING, seven, 2),
        (JobStatus.FAILED, None, 3),
    ]


def test_max_retries_zero_fails_at_once() -> None:
    change = classify(claimed(), outcome(OutcomeKind.FAILED), RetryRules(0, Retry.fixed(1)), WORKER)
    assert change.status is JobStatus.FAILED


def test_should_retry_no_fails_at_once() -> None:
    change = classify(claimed(), outcome(OutcomeKind.FAILED, may_retry=False), RULES, WORKER)
    assert change.status is JobStatus.FAILED


def test_retry_later_counts_as_failure_and_takes_its_own_delay() -> None:
    asked = outcome(OutcomeKind.RETRY_LATER, delay=timedelta(minutes=3))
    change = classify(claimed(failures=1), asked, RULES, WORKER)
    assert (change.status, change.failures, change.delay) == (JobStatus.RETRYING, 2, timedelta(minutes=3))
    assert classify(claimed(failures=2), asked, RULES, WORKER).status is JobStatus.FAILED


@pytest.mark.parametrize(("failures", "status"), [(0, JobStatus.READY), (1, JobStatus.RETRYING)])
def test_snooze_and_interruption_count_no_failure(failures: int, status: JobStatus) -> None:
    for kind in (OutcomeKind.SNOOZED, OutcomeKind.INTERRUPTED):
        change = classify(claimed(failures=failures), outcome(kind, delay=timedelta(1)), RULES, WORKER)
        assert (change.status, change.failures, change.attempt) == (status, failures, 1)


def test_a_retry_policy_that_raises_loses_no_job() -> None:
    def broken(failures: int, error: BaseException) -> float:
        raise ZeroDivisionError("oops")

    rules = RetryRules(5, Retry.custom(broken))
    change = classify(claimed(), outcome(OutcomeKind.FAILED, error=JobError("E", "m")), rules, WORKER)
    assert change.status is JobStatus.RETRYING
    assert change.delay == timedelta(minutes=1)
    assert change.error is not None
    assert "oops" in change.error.message


def test_handing_back_is_no_run() -> None:
    change = hand_back(claimed(attempt=3, failures=1))
    assert (change.status, change.attempt, change.delay) == (JobStatus.RETRYING, 3, None)


def test_unknown_definitions_wait_and_fail_after_the_limit() -> None:
    day = timedelta(days=1)
    first = defer_unknown(claimed(), NOW, day, timedelta(seconds=2), WORKER)
    assert (first.status, first.unknown_since, first.attempt) == (JobStatus.READY, NOW, 0)
    late = defer_unknown(claimed(unknown_since=NOW - day), NOW, day, timedelta(seconds=2), WORKER)
    assert late.status is JobStatus.FAILED
    assert late.error is not None
    assert late.error.type == "UnknownHandler"


@pytest.mark.parametrize(
    ("losses", "started", "expected"),
    [
        (0, None, (1, False)),  # the first loss is charged unless it is known to be unstarted
        (0, False, (0, False)),
        (0, True, (1, False)),
        (1, None, (1, False)),  # from then on only what had started is charged
        (1, False, (1, False)),
        (2, True, (3, True)),
    ],
)
def test_losses_are_charged_to_those_that_ran(
    losses: int, started: bool | None, expected: tuple[int, bool]
) -> None:
    assert lost_verdict(losses, started, max_losses=2) == expected
