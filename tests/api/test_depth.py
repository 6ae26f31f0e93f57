"""What a worker has claimed ahead of its slots, when short jobs are followed by long ones."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from jobmaster import Cluster, ClusterConfig, JobContext, JobHandler, JobRequest, JobStatus
from tests.databases import use

SLOTS, BATCH = 10, 50
LONG = 300


class Short(JobHandler, definition_id="short"):
    async def handle(self, job: JobContext) -> None:
        """Nothing, at once."""


class Long(JobHandler, definition_id="long"):
    over: asyncio.Event
    began: Counter[int] = Counter()
    workers: Counter[object] = Counter()

    async def handle(self, job: JobContext) -> None:
        Long.began[job.data.get_int("n")] += 1
        Long.workers[job.worker_id] += 1
        await Long.over.wait()


def built(url: str) -> Cluster:
    config = ClusterConfig("depth").use_standalone().grace_period(1).add_handlers(Short, Long)
    return use(config, url).add_worker(concurrency=SLOTS, batch_size=BATCH).build()


def dispatcher(cluster: Cluster) -> Any:
    assert cluster._runtime is not None
    return cluster._runtime.workers[0].dispatcher


async def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not holds():
        assert loop.time() < end, what
        await asyncio.sleep(0.02)


async def test_long_jobs_do_not_wait_behind_each_other_while_another_worker_has_room(
    database_url: str,
) -> None:
    """Short jobs let a worker claim far ahead. What it then holds of long ones it gives back."""
    Long.over = asyncio.Event()
    Long.began.clear()
    Long.workers.clear()
    first, second = built(database_url), built(database_url)
    try:
        first.scheduler.once_many([JobRequest(Short) for _ in range(4_000)], returning="ids")
        first.scheduler.once_many([JobRequest(Long, {"n": n}) for n in range(LONG)], returning="ids")
        await first.start_async()
        most = 0

        def begun() -> bool:
            nonlocal most
            most = max(most, dispatcher(first).held_jobs)
            return len(Long.began) == SLOTS

        await until(begun, "the long ones never began")
        assert most <= SLOTS + 4 * BATCH
        await until(
            lambda: dispatcher(first).held_jobs <= SLOTS + 2 * BATCH, "the first holds on to what it claimed"
        )
        await second.start_async()
        # the second has room for all that the first is not entitled to
        await until(lambda: len(Long.workers) == 2 and Long.workers.total() == 2 * SLOTS, "nobody took over")
        Long.over.set()
        await until(lambda: len(Long.began) == LONG, "some never began")
        s = first.scheduler
        while await s.count_jobs_async(status=JobStatus.SUCCEEDED) < 4_000 + LONG:
            await asyncio.sleep(0.05)
        assert set(Long.began.values()) == {1}
        # a job that was given back is none that failed, nor one that lost its worker
        found = await s.find_jobs_async(definition_id="long", limit=LONG)
        assert {(job.attempt, job.failures, job.losses) for job in found} == {(1, 0, 0)}
    finally:
        await first.stop_async()
        await second.stop_async()
        first.close()
        second.close()
