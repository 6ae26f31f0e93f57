"""Held jobs come to their agents in time, once each, however many coordinators there are."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from jobmaster import JobRequest, JobStatus
from tests.cluster.conftest import ON_DATABASES, MakeUrl, Site
from tests.cluster.handlers import COUNT, Counted
from tests.cluster.test_mixed import ended


async def test_five_coordinators_at_once_place_each_job_once(site: Site) -> None:
    """All jobs begin on the master, by their keys; each runs once, and none is placed twice."""
    COUNT.reset()
    jobs = 1_000
    coordinators = [site.config().add_worker("north", mode="coordinator").build() for _ in range(5)]
    runners = site.config().add_handlers(Counted).add_worker("north", mode="execution")
    runners.add_worker("south", mode="execution")
    async with runners.build() as cluster:
        requests = [JobRequest(Counted, {"n": n}, unique_key=f"k{n}") for n in range(jobs)]
        await cluster.scheduler.once_many_async(requests, returning="ids")
        assert await cluster.scheduler.count_jobs_async(status=JobStatus.HELD_ON_MASTER) == jobs
        for coordinator in coordinators:
            await coordinator.start_async()
        await ended(cluster, jobs, 60)
        for coordinator in coordinators:
            await coordinator.stop_async()
        assert await cluster.scheduler.count_jobs_async(status=JobStatus.SUCCEEDED) == jobs
        assert set(COUNT.runs.values()) == {1}
        assert {agent for agent, _ in COUNT.places.values()} == {"north", "south"}
        ended_jobs = await cluster.scheduler.find_jobs_async(limit=1000)
        assert {job.attempt for job in ended_jobs} == {1}


@ON_DATABASES
async def test_a_far_job_is_held_until_the_threshold_and_runs_in_time(site: Site) -> None:
    COUNT.reset()
    config = site.config().add_handlers(Counted).transient_threshold(10).add_worker("north")
    async with config.build() as cluster:
        s = cluster.scheduler
        when = datetime.now(UTC) + timedelta(seconds=12)
        job = await s.once_at_async(Counted, when, {"n": 1})
        assert job.status is JobStatus.HELD_ON_MASTER
        async with asyncio.timeout(10):
            while (await s.get_job_async(job.id)).agent_connection is None:
                await asyncio.sleep(0.1)
        assert datetime.now(UTC) >= when - timedelta(seconds=10.5)
        done = await s.wait_async(job.id, 20)
        assert 0 <= (done.started_at - done.scheduled_at).total_seconds() < 3.0
        assert done.scheduled_at == job.scheduled_at == when


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("held", "due"),
    [
        pytest.param(20_000, 2_000, id="ci"),
        pytest.param(1_000_000, 40_000, id="long", marks=pytest.mark.long),
    ],
)
async def test_a_large_backlog_does_not_slow_what_is_due(
    make_url: MakeUrl, held: int, due: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Most jobs are due in a month; those that come due are placed by one coordinator."""
    COUNT.reset()
    site = Site(make_url("postgres"), {"north": make_url("postgres")})
    config = site.config().transient_threshold(10)
    producer = config.build()
    far = datetime.now(UTC) + timedelta(days=30)
    for start in range(0, held, 20_000):
        part = range(start, min(held, start + 20_000))
        requests = [JobRequest("counted", {"n": n}, run_at=far + timedelta(seconds=n)) for n in part]
        await producer.scheduler.once_many_async(requests, returning="ids")
    await producer.close_async()
    # a worker that serves the lane and claims nothing yet, so that only the placing is timed
    executor = site.config().add_worker("north", mode="execution").cluster_mode("passive").build()
    async with executor:
        s = executor.scheduler
        requests = [JobRequest("counted", {"n": n}, run_at=far) for n in range(due)]
        ids = await s.once_many_async(requests, returning="ids")
        assert await s.count_jobs_async(status=JobStatus.HELD_ON_MASTER) == held + due
        _make_due(site.master, ids)
        coordinator = site.config().transient_threshold(10)
        began = time.monotonic()
        async with coordinator.add_worker("north", mode="coordinator").build():
            async with asyncio.timeout(120):
                while await s.count_jobs_async(status=JobStatus.HELD_ON_MASTER) > held:
                    await asyncio.sleep(0.05)
            took = time.monotonic() - began
        assert await s.count_jobs_async(status=JobStatus.READY) == due
        with capsys.disabled():
            print(f" {due} of {held + due} held jobs placed in {took:.1f} s, {due / took:.0f}/s ", end="")


def _make_due(url: str, ids: list[object]) -> None:
    """What time would do."""
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("UPDATE jm_job SET run_at = now() WHERE id = ANY(%s)", (ids,))
        connection.execute("ANALYZE jm_job")
