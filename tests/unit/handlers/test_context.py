"""What a handler sees of its job, and what it can say back."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobmaster.domain.job import Progress
from jobmaster.domain.plaindata import PlainData
from jobmaster.domain.status import Priority
from jobmaster.handlers import CancelJob, JobCancelled, JobContext, Run, job
from jobmaster.handlers.run import LOG_LIMIT
from tests.unit.handlers.runs import JOB_ID, STARTED_AT, WORKER_ID, registry_of, run_of, site


@job("context-probe")
async def probe(job: JobContext) -> None:
    """Never called: the tests look at the context themselves."""


def new_run(data: str = "{}", **fields: Any) -> Run:
    return run_of(registry_of(probe), probe, data, at=site(scheduler="the scheduler"), **fields)


def test_the_context_shows_the_job_and_where_it_runs() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    context: JobContext = JobContext(
        new_run(
            '{"a": 1}',
            attempt=2,
            failures=1,
            priority=5,
            metadata='{"team":"media"}',
            schedule_id="nightly",
            occurrence_at=at,
        )
    )
    assert context.id == JOB_ID
    assert context.data == {"a": 1}
    assert isinstance(context.data, PlainData)
    assert context.data is context.data
    assert context.metadata == {"team": "media"}
    assert context.definition_id == "context-probe"
    assert context.lane == "default"
    assert context.priority is Priority.CRITICAL
    assert context.attempt == 3
    assert context.failures == 1
    assert context.max_retries == 3
    assert context.scheduled_at == STARTED_AT - timedelta(seconds=1)
    assert context.enqueued_at == STARTED_AT - timedelta(seconds=2)
    assert context.started_at == STARTED_AT
    assert context.deadline == STARTED_AT + timedelta(seconds=30)
    assert context.schedule_id == "nightly"
    assert context.occurrence_at == at
    assert (context.is_catchup, context.missed_count) == (False, 0)
    assert context.cluster_id == "cluster"
    assert context.agent_connection == "standalone"
    assert context.worker_id == WORKER_ID
    assert context.scheduler == "the scheduler"
    assert repr(context) == f"<JobContext 'context-probe' {JOB_ID} attempt 3>"


def test_without_metadata_there_is_an_empty_mapping() -> None:
    assert JobContext[Any](new_run()).metadata == {}


def test_the_logger_names_the_job(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "jobmaster.tests"):
        JobContext[Any](new_run(attempt=1)).logger.info("resized %d", 5)
    (record,) = caplog.records
    assert record.getMessage() == "resized 5"
    assert (record.job_id, record.definition_id, record.attempt) == (str(JOB_ID), "context-probe", 2)  # type: ignore[attr-defined]


@pytest.mark.parametrize("reason", ["cancelled", "timeout", "interrupted", "lost"])
def test_a_request_to_stop_is_seen(reason: Any) -> None:
    run = new_run()
    context: JobContext = JobContext(run)
    context.check_cancelled()
    assert context.cancelled is False
    assert run.request_cancel(reason) is True
    assert context.cancelled is True
    with pytest.raises(JobCancelled) as caught:
        context.check_cancelled()
    assert caught.value.reason == reason
    assert isinstance(caught.value, CancelJob)


def test_the_first_reason_stands_but_lost_replaces_it() -> None:
    run = new_run()
    told: list[str] = []
    run.tell_on_cancel(told.append)
    assert run.request_cancel("timeout") is True
    assert run.request_cancel("cancelled") is False
    assert run.cancel_reason == "timeout"
    assert run.request_cancel("lost") is True
    assert run.request_cancel("lost") is False
    assert run.cancel_reason == "lost"
    assert told == ["timeout", "lost"]


def test_whoever_asks_late_is_told_at_once() -> None:
    run = new_run()
    run.request_cancel("cancelled")
    told: list[str] = []
    run.tell_on_cancel(told.append)
    assert told == ["cancelled"]


async def test_progress_is_kept_for_the_engine() -> None:
    run = new_run()
    context: JobContext = JobContext(run)
    assert (run.progress, run.progress_dirty) == (None, False)
    await context.progress(0.4, "almost")
    assert (run.progress, run.progress_dirty) == (Progress(0.4, "almost"), True)
    run.progress_dirty = False
    context.report_progress(1)
    assert (run.progress, run.progress_dirty) == (Progress(1.0, ""), True)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), float("inf")])
async def test_progress_outside_zero_to_one_is_refused(fraction: float) -> None:
    context: JobContext = JobContext(new_run())
    with pytest.raises(ValueError, match="between 0 and 1"):
        context.report_progress(fraction)
    with pytest.raises(ValueError, match="between 0 and 1"):
        await context.progress(fraction)


def test_progress_text_is_storable_and_short() -> None:
    run = new_run()
    JobContext[Any](run).report_progress(0.5, "a\x00\ud800" + "x" * 5000)
    assert run.progress is not None
    assert run.progress.message.startswith("a\\x00\\ud800xxx")
    assert len(run.progress.message) == 1000


def test_the_log_keeps_lines() -> None:
    run = new_run()
    assert run.log_text() is None
    context: JobContext = JobContext(run)
    context.log("first")
    context.log(5)
    context.log("a\x00b\udfff ü")
    assert run.log_text() == "first\n5\na\\x00b\\udfff ü"


@pytest.mark.parametrize("character", ["x", "ü", "😀"])
def test_the_log_is_capped_with_a_note(character: str) -> None:
    run = new_run()
    context: JobContext = JobContext(run)
    for _ in range(100):
        context.log(character * 1000)
    text = run.log_text()
    assert text is not None
    kept, _, note = text.rpartition("\n")
    assert note == "... the log was cut at 64 KiB"
    assert LOG_LIMIT - 8 <= len(kept.encode()) <= LOG_LIMIT
    context.log("more")
    assert run.log_text() == text


def test_a_line_that_just_fits_is_not_cut() -> None:
    run = new_run()
    JobContext[Any](run).log("x" * (LOG_LIMIT - 1))
    assert run.log_text() == "x" * (LOG_LIMIT - 1)


def test_several_threads_may_log_at_once() -> None:
    run = new_run()
    context: JobContext = JobContext(run)
    gate = threading.Barrier(4)

    def write(number: int) -> None:
        gate.wait(10)
        for _ in range(200):
            context.log(f"line of {number}")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (run.log_text() or "").split("\n")
    assert sorted(set(lines)) == [f"line of {n}" for n in range(4)]
    assert len(lines) == 800
