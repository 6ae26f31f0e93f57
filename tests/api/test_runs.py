"""Jobs run and end as their handlers say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobmaster import (
    AttemptOutcome,
    Cluster,
    InvalidJob,
    JobNotFound,
    JobRequest,
    JobStatus,
    Priority,
    Retry,
)
from jobmaster.domain.ids import uuid7
from tests.api.conftest import configure
from tests.api.handlers import (
    Add,
    AddArgs,
    Blocks,
    CancelsItself,
    FailsForGood,
    FailsTwice,
    Hello,
    InThread,
    Logs,
    Naps,
    RetriesLater,
    Seen,
    Snoozes,
    double,
)


async def test_the_first_example(cluster: Cluster) -> None:
    job = await cluster.scheduler.once_now_async(Hello, {"name": "John"})
    assert job.status is JobStatus.READY
    finished = await cluster.scheduler.wait_async(job.id, timeout=10)
    assert (finished.status, finished.result, finished.attempt) == (JobStatus.SUCCEEDED, "Hello John", 1)
    assert finished.data == {"name": "John"}
    assert finished.enqueued_at == job.enqueued_at <= finished.started_at <= finished.finished_at


async def test_typed_payloads_are_validated_at_both_ends(cluster: Cluster) -> None:
    s = cluster.scheduler
    by_model = await s.once_now_async(Add, AddArgs(left=2, right=3))
    by_mapping = await s.once_now_async(Add, {"left": "4"})
    assert (await s.wait_async(by_model.id, 10)).result == 5
    assert (await s.wait_async(by_mapping.id, 10)).result == 5
    with pytest.raises(InvalidJob, match="left"):
        await s.once_now_async(Add, {"left": "x"})
    assert (await s.wait_async((await s.once_now_async(double, {"value": 1.5})).id, 10)).result == 3.0


async def test_a_payload_that_no_producer_could_check_fails_its_run(
    cluster: Cluster, database_url: str
) -> None:
    producer = configure(database_url, handlers=[Hello]).build()
    job = await producer.scheduler.once_now_async("add", {"left": "x"})
    finished = await producer.scheduler.wait_async(job.id, 10)
    await producer.close_async()
    assert finished.status is JobStatus.FAILED
    assert "left" in str(finished.error)


async def test_failures_are_retried_and_recorded(cluster: Cluster) -> None:
    s = cluster.scheduler
    job = await s.wait_async((await s.once_now_async(FailsTwice)).id, 10)
    assert (job.status, job.result, job.attempt, job.failures) == (JobStatus.SUCCEEDED, 3, 3, 2)
    runs = await s.attempts_async(job.id)
    assert [(run.number, run.outcome) for run in runs] == [
        (1, AttemptOutcome.FAILED),
        (2, AttemptOutcome.FAILED),
        (3, AttemptOutcome.SUCCEEDED),
    ]
    assert runs[0].error is not None
    assert str(runs[0].error) == "ValueError: attempt 1 fails"
    assert "handlers.py" in str(runs[0].error.traceback)
    assert "jobmaster/engine" not in str(runs[0].error.traceback)


async def test_the_call_wins_over_the_handler(cluster: Cluster) -> None:
    s = cluster.scheduler
    job = await s.wait_async((await s.once_now_async(FailsTwice, max_retries=1)).id, 10)
    assert (job.status, job.failures) == (JobStatus.FAILED, 2)
    none = await s.wait_async((await s.once_now_async(FailsTwice, retry=Retry.none())).id, 10)
    assert (none.status, none.failures) == (JobStatus.FAILED, 1)


async def test_control_flow(cluster: Cluster) -> None:
    s = cluster.scheduler
    failed = await s.wait_async((await s.once_now_async(FailsForGood)).id, 10)
    assert (failed.status, failed.attempt, failed.error.message) == (JobStatus.FAILED, 1, "no such customer")
    cancelled = await s.wait_async((await s.once_now_async(CancelsItself)).id, 10)
    assert (cancelled.status, cancelled.failures) == (JobStatus.CANCELLED, 0)
    snoozed = await s.wait_async((await s.once_now_async(Snoozes)).id, 10)
    assert (snoozed.status, snoozed.result, snoozed.attempt) == (JobStatus.SUCCEEDED, 0, 3)
    later = await s.wait_async((await s.once_now_async(RetriesLater)).id, 10)
    assert (later.status, later.failures, later.attempt) == (JobStatus.FAILED, 2, 2)


async def test_timeouts_end_coroutines(cluster: Cluster) -> None:
    s = cluster.scheduler
    job = await s.once_now_async(Naps, {"seconds": 60}, timeout=0.2)
    finished = await s.wait_async(job.id, 10)
    assert finished.status is JobStatus.FAILED
    assert str(finished.error) == "timed out after 0.2 s"
    assert (await s.attempts_async(job.id))[0].outcome is AttemptOutcome.TIMED_OUT


async def test_a_thread_that_timed_out_keeps_its_claim_until_it_ends(cluster: Cluster) -> None:
    s = cluster.scheduler
    job = await s.once_now_async(Blocks, {"seconds": 60}, timeout=0.2)
    finished = await s.wait_async(job.id, 10)
    assert (finished.status, str(finished.error)) == (JobStatus.FAILED, "timed out after 0.2 s")


async def test_sync_handlers_run_in_threads(cluster: Cluster) -> None:
    s = cluster.scheduler
    finished = await s.wait_async((await s.once_now_async(InThread)).id, 10)
    assert finished.status is JobStatus.SUCCEEDED
    assert "MainThread" not in finished.result


@pytest.mark.parametrize("handler", [Naps, Blocks])
async def test_cancellation_reaches_running_handlers(cluster: Cluster, handler: type) -> None:
    s = cluster.scheduler
    job = await s.once_now_async(handler, {"seconds": 60})
    await until(cluster, job.id, JobStatus.PROCESSING)
    assert await s.cancel_job_async(job.id)
    finished = await s.wait_async(job.id, 10)
    assert finished.status is JobStatus.CANCELLED
    assert not await s.cancel_job_async(job.id)


async def test_progress_is_visible_while_it_runs(cluster: Cluster) -> None:
    s = cluster.scheduler
    job = await s.once_now_async(Naps, {"seconds": 60})
    running = await until(cluster, job.id, JobStatus.PROCESSING)
    assert running.progress is not None
    assert (running.progress.fraction, running.progress.message) == (0.5, "half way")
    assert [r.code for r in (await s.explain_async(job.id)).reasons] == ["running", "progress"]
    await s.cancel_job_async(job.id)
    await s.wait_async(job.id, 10)


async def test_logs_are_kept_for_successes_too(cluster: Cluster) -> None:
    s = cluster.scheduler
    job = await s.wait_async((await s.once_now_async(Logs)).id, 10)
    (run,) = await s.attempts_async(job.id)
    assert (run.outcome, run.log) == (AttemptOutcome.SUCCEEDED, "one\ntwo")


async def test_the_context_shows_the_job(cluster: Cluster) -> None:
    s = cluster.scheduler
    job = await s.once_now_async(
        Seen, priority=Priority.HIGH, timeout=timedelta(seconds=9), max_retries=7, metadata={"team": "x"}
    )
    finished = await s.wait_async(job.id, 10)
    seen = finished.result
    assert seen["worker_id"] == str(finished.worker_id)
    del seen["worker_id"]
    assert seen == {
        "id": str(job.id),
        "definition_id": "seen",
        "lane": "default",
        "priority": 4,
        "attempt": 1,
        "max_retries": 7,
        "failures": 0,
        "metadata": {"team": "x"},
        "cluster_id": "api",
        "agent_connection": "standalone",
        "seconds_left": 9.0,
        "ordered": True,
        "schedule_id": None,
        "cancelled": False,
    }


async def test_delays_are_kept_to_a_tenth_of_a_second(cluster: Cluster) -> None:
    s = cluster.scheduler
    after = await s.once_after_async(Hello, 0.4, {"name": "a"})
    at = await s.once_at_async(Hello, datetime.now(UTC) + timedelta(seconds=0.4), {"name": "b"})
    for job in (after, at):
        finished = await s.wait_async(job.id, 10)
        late = (finished.started_at - finished.scheduled_at).total_seconds()
        assert 0 <= late < 3.0


async def test_once_many_keeps_the_order(cluster: Cluster) -> None:
    s = cluster.scheduler
    jobs = await s.once_many_async([JobRequest(Add, {"left": n}) for n in range(200)])
    assert [job.data["left"] for job in jobs] == list(range(200))
    results = [(await s.wait_async(job.id, 10)).result for job in jobs]
    assert results == [n + 1 for n in range(200)]
    with pytest.raises(InvalidJob) as caught:
        await s.once_many_async([JobRequest(Add, {"left": 1}), JobRequest(Add, {"left": "x"})])
    assert "item 1" in caught.value.__notes__[0]
    assert await s.count_jobs_async() == 200


async def test_wait_times_out_and_knows_strangers(cluster: Cluster) -> None:
    s = cluster.scheduler
    job = await s.once_after_async(Hello, 60, {"name": "x"})
    with pytest.raises(TimeoutError, match=r"it is ready; `jobmaster jobs explain .* says why"):
        await s.wait_async(job.id, timeout=1)
    with pytest.raises(JobNotFound):
        await s.wait_async(uuid7(), timeout=1)


async def until(cluster: Cluster, job_id: object, status: JobStatus) -> object:
    """The job once it has this status; looks at the store as a user would."""
    import anyio

    with anyio.fail_after(10):
        while True:
            job = await cluster.scheduler.get_job_async(job_id)
            if job.status is status:
                return job
            await anyio.sleep(0.02)
