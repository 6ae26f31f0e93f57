"""What becomes of the jobs that a worker had claimed when it died: on every kind of agent the same."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from jobmaster import ClusterConfig, JobContext, JobHandler, JobRequest, JobStatus, Priority, WorkerMode
from jobmaster.domain.status import BucketStatus
from jobmaster.ports.transport import BucketInfo, ClaimRequest
from tests.cluster.conftest import MakeUrl

LEASE = timedelta(seconds=5)
JOBS = 60
KINDS = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
    pytest.param("nats", marks=pytest.mark.nats),
    pytest.param("nats_oldest", marks=pytest.mark.nats),
]


class Order:
    """In which order jobs ran, and how many beside each other."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.ran: list[int] = []
        self.now = self.most = 0


ORDER = Order()


class Noted(JobHandler, definition_id="noted"):
    async def handle(self, job: JobContext) -> None:
        ORDER.ran.append(job.data.get_int("n"))
        ORDER.now += 1
        ORDER.most = max(ORDER.most, ORDER.now)
        await asyncio.sleep(0)
        ORDER.now -= 1


@pytest.fixture(params=KINDS)
def config(request: pytest.FixtureRequest, make_url: MakeUrl, tmp_path: Path) -> ClusterConfig:
    """A cluster with one agent of each kind in turn."""
    made = ClusterConfig("suspects").use_sqlite_for_master(tmp_path / "master.db").lease(LEASE)
    return made.add_agent_connection("a", make_url(request.param)).add_handlers(Noted).grace_period(1)


async def test_jobs_that_had_hardly_begun_when_their_worker_died_go_first(
    config: ClusterConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """They were claimed last; those claimed first were running, and one of them may have killed it."""
    caplog.set_level(logging.INFO, logger="jobmaster")
    ORDER.reset()
    dead = config.build(workers=False)
    s = dead.scheduler
    await s.count_jobs_async()
    requests = [JobRequest(Noted, {"n": n}, agent_connection="a") for n in range(JOBS)]
    jobs = await s.once_many_async(requests)
    agent = dead._backend.agent("a")
    worker, bucket = uuid4(), uuid4()
    priority = int(Priority.MEDIUM)
    row = BucketInfo(
        bucket, worker, "dead", "default", priority, BucketStatus.ACTIVE, agent.transport.now(), "a"
    )
    await asyncio.to_thread(agent.transport.open_buckets, [row], WorkerMode.FULL, LEASE)
    claim = ClaimRequest("default", {priority: bucket}, {priority: JOBS})
    claimed = (await asyncio.to_thread(agent.settlement.settle, [], claim)).claimed
    assert [job.id for job in claimed] == [job.id for job in jobs]
    await dead.close_async()

    async with config.add_worker("a", concurrency=10).build() as cluster:
        for job in jobs:
            ended = await cluster.scheduler.wait_async(job.id, 60)
            assert (ended.status, ended.losses) == (JobStatus.SUCCEEDED, 1)
        fresh = await cluster.scheduler.once_now_async(Noted, {"n": -1}, agent_connection="a")
        await cluster.scheduler.wait_async(fresh.id, 20)
    # each alone, and each once
    assert ORDER.most == 1
    assert sorted(ORDER.ran) == list(range(-1, JOBS))
    first, last = ORDER.ran[:JOBS].index(JOBS - 1), ORDER.ran[:JOBS].index(0)
    assert first < last, ORDER.ran
    # as they came in one after the other, but for those that came late
    late = sum(1 for one, next_ in zip(ORDER.ran[:JOBS], ORDER.ran[1:JOBS], strict=False) if one < next_)
    assert late <= 3, ORDER.ran
    # each is told once
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    counts = [int(text.split()[1]) for text in told if text.startswith("rescued ")]
    assert sum(counts) == JOBS, told
