"""The engine on memory stores and a clock moved by hand: logic without waiting."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from jobmaster import (
    AttemptOutcome,
    ClusterConfig,
    JobContext,
    JobHandler,
    JobStatus,
    Priority,
    Retry,
    Snooze,
    UnknownHandler,
)
from jobmaster.testing import MemoryCluster, run_inline


class Reminder(JobHandler, definition_id="reminder"):
    async def handle(self, job: JobContext) -> str:
        return job.started_at.isoformat()


class Flaky(JobHandler, definition_id="flaky", max_retries=3, retry=Retry.exponential(60, 3600)):
    async def handle(self, job: JobContext) -> None:
        raise ValueError("no")


class Patient(JobHandler, definition_id="patient"):
    async def handle(self, job: JobContext) -> int:
        if job.attempt <= 5:
            raise Snooze(timedelta(hours=1))
        return job.attempt


class Endless(JobHandler, definition_id="endless", timeout=timedelta(minutes=5), max_retries=0):
    async def handle(self, job: JobContext) -> None:
        await asyncio.Event().wait()


order: list[Priority] = []


class Ordered(JobHandler, definition_id="ordered"):
    async def handle(self, job: JobContext) -> None:
        order.append(job.priority)


class InThread(JobHandler, definition_id="in-thread"):
    def handle(self, job: JobContext) -> int:
        job.log("hello")
        job.report_progress(0.5)
        return job.data.get_int("n") + 1


def config(**worker: object) -> ClusterConfig:
    handlers = [Reminder, Flaky, Patient, Endless, InThread, Ordered]
    return ClusterConfig("memory").add_handlers(*handlers).add_worker(**worker)  # type: ignore[arg-type]


async def test_a_job_due_in_a_day_runs_then_and_not_before() -> None:
    start = datetime(2027, 3, 1, tzinfo=UTC)
    async with MemoryCluster(config(), start) as cluster:
        s = cluster.scheduler
        job = await s.once_after_async(Reminder, timedelta(days=1))
        await cluster.advance(timedelta(days=1) - timedelta(seconds=2))
        assert (await s.get_job_async(job.id)).status is JobStatus.READY
        await cluster.advance(3)
        done = await s.get_job_async(job.id)
        assert done.status is JobStatus.SUCCEEDED
        assert timedelta(days=1) <= done.started_at - start <= timedelta(days=1, seconds=2)


async def test_backoff_takes_the_time_it_says() -> None:
    async with MemoryCluster(config()) as cluster:
        s = cluster.scheduler
        job = await s.once_now_async(Flaky)
        await cluster.advance(timedelta(minutes=10))
        done = await s.get_job_async(job.id)
        assert (done.status, done.failures) == (JobStatus.FAILED, 4)
        began = [attempt.started_at for attempt in await s.attempts_async(job.id)]
        gaps = [(b - a).total_seconds() for a, b in pairwise(began)]
        assert gaps == pytest.approx([60, 120, 240], abs=1.5)


async def test_snoozes_are_no_failures() -> None:
    async with MemoryCluster(config()) as cluster:
        job = await cluster.scheduler.once_now_async(Patient)
        await cluster.advance(timedelta(hours=6))
        done = await cluster.scheduler.get_job_async(job.id)
        assert (done.status, done.result, done.failures) == (JobStatus.SUCCEEDED, 6, 0)


async def test_timeouts_go_by_the_clock_of_the_test() -> None:
    async with MemoryCluster(config()) as cluster:
        s = cluster.scheduler
        job = await s.once_now_async(Endless)
        await cluster.run_due()
        assert not (await s.get_job_async(job.id)).status.is_final
        await cluster.advance(timedelta(minutes=5, seconds=1))
        done = await s.get_job_async(job.id)
        assert str(done.error) == "timed out after 5 min"
        assert (await s.attempts_async(job.id))[0].outcome is AttemptOutcome.TIMED_OUT


async def test_higher_priorities_start_first_and_none_starves() -> None:
    order.clear()
    async with MemoryCluster(config(concurrency=1, batch_size=500)) as cluster:
        s = cluster.scheduler
        cluster.cluster.set_mode("passive")
        for priority in (Priority.LOW, Priority.CRITICAL, Priority.MEDIUM):
            for _ in range(12):
                await s.once_now_async(Ordered, priority=priority)
        cluster.cluster.set_mode("active")
        await cluster.run_due()
        assert {job.status for job in await s.find_jobs_async()} == {JobStatus.SUCCEEDED}
    assert order[0] is Priority.CRITICAL
    assert len(order) == 36
    # 6 : 4 : 3 of the first thirteen, whatever order they were enqueued in
    assert [order[:13].count(p) for p in (Priority.CRITICAL, Priority.MEDIUM, Priority.LOW)] == [6, 4, 3]


async def test_a_job_in_a_thread_runs_too() -> None:
    async with MemoryCluster(config()) as cluster:
        job = await cluster.scheduler.once_now_async(InThread, {"n": 1})
        await cluster.run_due(patience=5)
        assert (await cluster.scheduler.get_job_async(job.id)).result == 2


async def test_old_jobs_are_cleaned_up() -> None:
    async with MemoryCluster(config().data_retention(timedelta(hours=1))) as cluster:
        s = cluster.scheduler
        await s.once_now_async(Reminder)
        await cluster.advance(timedelta(minutes=50))
        assert await s.count_jobs_async() == 1
        await cluster.advance(timedelta(minutes=15))
        assert await s.count_jobs_async() == 0


async def test_one_handler_runs_inline() -> None:
    run = await run_inline(config(), InThread, {"n": 41})
    assert (run.result, run.log) == (42, "hello")
    assert run.progress is not None
    assert run.progress.fraction == 0.5
    with pytest.raises(ValueError, match="no"):
        await run_inline(config(), Flaky)
    with pytest.raises(Snooze):
        await run_inline(config(), Patient, attempt=5)
    assert (await run_inline(config(), Patient, attempt=6)).result == 6
    with pytest.raises(UnknownHandler):
        await run_inline(config(), "nobody")


async def test_handlers_begin_in_their_own_turn_whatever_task_factory_the_loop_has() -> None:
    """Python 3.12 has one under which each task begins where it is made: a job that began another there, and
    that one the next, would end in a recursion."""
    loop = asyncio.get_running_loop()
    made: list[str] = []

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=loop, **options)

    before = loop.get_task_factory()
    loop.set_task_factory(factory)
    try:
        async with MemoryCluster(config()) as cluster:
            job = await cluster.scheduler.once_now_async(Reminder)
            await cluster.advance(timedelta(minutes=1))
            assert (await cluster.scheduler.get_job_async(job.id)).status is JobStatus.SUCCEEDED
    finally:
        loop.set_task_factory(before)
    assert made
    assert [name for name in made if "Dispatcher" in name] == []
