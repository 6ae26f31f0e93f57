"""Handlers that run in processes of their own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import anyio
import pytest

from jobmaster import AttemptOutcome, Cluster, JobStatus
from tests.api.conftest import configure
from tests.api.handlers import Hello, InChild


@pytest.fixture
async def cluster(database_url: str) -> AsyncIterator[Cluster]:
    built = configure(database_url, handlers=[Hello, InChild]).add_worker(concurrency=2).build()
    async with built:
        yield built


async def test_a_child_runs_the_handler_and_reports(cluster: Cluster) -> None:
    s = cluster.scheduler
    done = await s.wait_async((await s.once_now_async(InChild, {"left": 1, "right": 2})).id, 30)
    assert done.status is JobStatus.SUCCEEDED
    assert done.result["sum"] == 3
    assert done.result["pid"] != os.getpid()
    assert (await s.attempts_async(done.id))[0].log == "hello from a child"


async def test_an_error_in_a_child_keeps_its_name(cluster: Cluster) -> None:
    s = cluster.scheduler
    done = await s.wait_async((await s.once_now_async(InChild, {"left": 13})).id, 30)
    assert (done.status, str(done.error)) == (JobStatus.FAILED, "LookupError: no such thing")
    assert "handlers.py" in str(done.error.traceback)


async def test_a_child_that_dies_is_a_failure_and_spares_the_others(cluster: Cluster) -> None:
    s = cluster.scheduler
    jobs = [await s.once_now_async(InChild, {"left": left}) for left in (9, 1, 2, 3)]
    done = [await s.wait_async(job.id, 30) for job in jobs]
    assert [job.status for job in done] == [JobStatus.FAILED] + [JobStatus.SUCCEEDED] * 3
    assert (done[0].failures, done[0].losses) == (1, 0)
    assert (await s.attempts_async(done[0].id))[0].outcome is AttemptOutcome.KILLED


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_a_child_is_killed_at_its_timeout_and_when_cancelled(cluster: Cluster, how: str) -> None:
    s = cluster.scheduler
    job = await s.once_now_async(InChild, {"left": 60}, timeout=1.0 if how == "timeout" else None)
    if how == "cancel":
        with anyio.fail_after(20):
            while (await s.get_job_async(job.id)).status is not JobStatus.PROCESSING:
                await anyio.sleep(0.05)
        assert await s.cancel_job_async(job.id)
    done = await s.wait_async(job.id, 20)
    assert done.status is (JobStatus.FAILED if how == "timeout" else JobStatus.CANCELLED)
    assert (await s.attempts_async(job.id))[0].outcome is (
        AttemptOutcome.TIMED_OUT if how == "timeout" else AttemptOutcome.CANCELLED
    )
