"""A master and agents of three kinds side by side."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from jobmaster import Cluster, JobRequest, JobStatus, Priority
from tests.cluster.conftest import MakeUrl, Site
from tests.cluster.handlers import COUNT, Counted, Flaky
from tests.harness.checker import observer_of, overlaps, reruns, until_all_ended, verify
from tests.harness.processes import Workers

LANES = ("default", "payroll", "mail", "images")
CI = pytest.param(1_000, 5.0, id="ci")
LONG = pytest.param(10_000, 120.0, id="long", marks=pytest.mark.long)


@pytest.fixture
def mixed(make_url: MakeUrl) -> Site:
    """PostgreSQL as master; PostgreSQL, MariaDB and SQLite as agents."""
    return Site(
        make_url("postgres"),
        {"pg": make_url("postgres"), "maria": make_url("mariadb"), "lite": make_url("sqlite")},
    )


@pytest.mark.postgres
@pytest.mark.mariadb
@pytest.mark.parametrize(("jobs", "within"), [CI, LONG])
async def test_every_job_of_a_mixed_cluster_succeeds_exactly_once(
    mixed: Site, jobs: int, within: float
) -> None:
    """Four workers on each agent, one per lane; five priorities; as many jobs now as within a while."""
    COUNT.reset()
    config = mixed.config().transient_threshold(10).add_handlers(Counted, Flaky)
    for agent in mixed.agents:
        for lane in LANES:
            config.add_worker(agent, lane=lane)
    chance = random.Random(7)
    now, later = range(jobs), range(jobs, 2 * jobs)

    def request(n: int) -> JobRequest:
        options = {"lane": chance.choice(LANES), "priority": chance.choice(list(Priority))}
        handler = Flaky if n % 50 == 0 else Counted
        delay = timedelta(seconds=chance.uniform(0, within)) if n in later else None
        return JobRequest(handler, {"n": n}, delay=delay, **options)

    async with config.build() as cluster:
        s = cluster.scheduler
        await s.once_many_async([request(n) for n in now], returning="ids")
        await s.once_many_async([request(n) for n in later], returning="ids")
        await ended(cluster, 2 * jobs, within + 60)
        assert await s.count_jobs_async(status=JobStatus.SUCCEEDED) == 2 * jobs
        assert {agent for agent, _ in COUNT.places.values()} == set(mixed.agents)
        expected = Counter({n: 2 if n % 50 == 0 else 1 for n in range(2 * jobs)})
        assert COUNT.runs == expected
        await settled(cluster)
        # nothing changes afterwards, wherever one looks
        counts = [await s.count_jobs_async(status=status) for status in JobStatus]
        await asyncio.sleep(2)
        assert counts == [await s.count_jobs_async(status=status) for status in JobStatus]
        assert COUNT.runs == expected
        assert (await cluster.status_async()).depths == ()


async def ended(cluster: Cluster, jobs: int, seconds: float) -> None:
    """Wait until so many jobs have ended."""
    async with asyncio.timeout(seconds):
        final = [status for status in JobStatus if status.is_final]
        while await cluster.scheduler.count_jobs_async(status=final) < jobs:
            await asyncio.sleep(0.1)


async def settled(cluster: Cluster) -> None:
    """Wait until the master has been told of everything."""
    async with asyncio.timeout(20):
        while any(agent.unshipped for agent in await cluster.agents_async()):
            await asyncio.sleep(0.05)


@pytest.mark.postgres
@pytest.mark.mariadb
@pytest.mark.parametrize(
    ("jobs", "within", "first", "second", "lease"),
    [
        pytest.param(3_000, 8.0, 3.0, 3.0, 3.0, id="ci"),
        pytest.param(300_000, 120.0, 30.0, 60.0, 15.0, id="long", marks=pytest.mark.long),
    ],
)
def test_nine_of_ten_worker_processes_die_and_the_last_one_too(
    mixed: Site, tmp_path: Path, jobs: int, within: float, first: float, second: float, lease: float
) -> None:
    """Some are killed, some are stopped; new ones take over. What is run again was in flight at a kill."""
    fleet = [f"{agent}::full" for agent in mixed.agents]
    chance = random.Random(11)
    with (
        observer_of(mixed.master, mixed.agents, 10) as observer,
        Workers(mixed.master, tmp_path, mixed.agents, lease=lease, threshold=10) as workers,
    ):
        alive = [workers.start(1, [fleet[n % 3]])[0] for n in range(10)]
        began = time.monotonic()
        for start in range(0, jobs, 10_000):
            part = range(start, min(jobs, start + 10_000))
            observer.scheduler.once_many(
                [
                    JobRequest(
                        "numbered",
                        {"number": n},
                        delay=timedelta(seconds=chance.uniform(1, within)),
                    )
                    for n in part
                ],
                returning="ids",
            )
        time.sleep(max(0.0, began + first - time.monotonic()))
        for number, worker in enumerate(alive[:9]):
            worker.kill() if number % 2 else worker.terminate()
        time.sleep(second)
        alive[9].kill()
        workers.start(3, fleet)
        until_all_ended(observer, jobs, within + 90 + 2 * lease)
        marks = verify(observer, workers.record, jobs)
        held_by_killed = 5 * 60
        assert reruns(marks) <= held_by_killed
        assert overlaps(marks) == []
        for worker in alive[:9:2]:
            assert worker.wait(10) in (0, -signal.SIGTERM)
