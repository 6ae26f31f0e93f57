"""Lanes keep workloads apart; modes say what a worker does; buckets come and go with workers."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from jobmaster import (
    BucketStatus,
    Cluster,
    ClusterArchived,
    ClusterMode,
    Job,
    JobRequest,
    JobStatus,
    Priority,
    WorkerMode,
)
from tests.cluster.conftest import ON_DATABASES, Site
from tests.cluster.handlers import COUNT, Blocker, Counted
from tests.cluster.test_mixed import ended


async def until(cluster: Cluster, job: Job, status: JobStatus, seconds: float = 15) -> Job:
    """The job once it has this status."""
    async with asyncio.timeout(seconds):
        while True:
            found = await cluster.scheduler.get_job_async(job.id)
            if found.status is status:
                return found
            await asyncio.sleep(0.02)


async def test_a_lane_without_workers_keeps_its_jobs_waiting_and_says_so(site: Site) -> None:
    COUNT.reset()
    config = site.config().add_handlers(Counted).add_worker("north").add_worker("south", lane="mail")
    async with config.build() as cluster:
        s = cluster.scheduler
        lost = await s.once_now_async(Counted, {"n": 0}, lane="nobody")
        mail = await s.once_many_async([JobRequest(Counted, {"n": n}, lane="mail") for n in range(1, 30)])
        plain = await s.once_many_async([JobRequest(Counted, {"n": n}) for n in range(30, 60)])
        await ended(cluster, 59, 20)
        assert {COUNT.places[n] for n in range(1, 30)} == {("south", "mail")}
        assert {COUNT.places[n] for n in range(30, 60)} == {("north", "default")}
        assert {job.agent_connection for job in mail} == {"south"}
        assert {job.agent_connection for job in plain} == {"north"}
        waiting = await s.get_job_async(lost.id)
        assert waiting.status is JobStatus.HELD_ON_MASTER
        reasons = (await s.explain_async(lost.id)).reasons
        assert [reason.code for reason in reasons] == ["no_worker_on_lane"]
        assert "'default', 'mail'" in reasons[0].message
    # a worker for the lane comes: the job is placed and runs
    async with site.config().add_handlers(Counted).add_worker("south", lane="nobody").build() as cluster:
        assert (await cluster.scheduler.wait_async(lost.id, 20)).status is JobStatus.SUCCEEDED


@ON_DATABASES
async def test_held_jobs_are_explained(site: Site) -> None:
    config = site.config().add_handlers(Counted).transient_threshold(60).add_worker("north", mode="execution")
    async with config.build() as cluster:
        s = cluster.scheduler
        far = await s.once_after_async(Counted, timedelta(hours=1), {"n": 0})
        assert far.status is JobStatus.HELD_ON_MASTER
        codes = [reason.code for reason in (await s.explain_async(far.id)).reasons]
        assert codes == ["not_due", "beyond_threshold", "no_coordinator"]
        near = await s.once_after_async(Counted, 30, {"n": 0})
        assert (near.status, near.agent_connection) == (JobStatus.SAVE_PENDING, "north")
        assert [r.code for r in (await s.explain_async(near.id)).reasons] == ["not_due"]


async def test_a_job_that_no_worker_of_its_agent_knows_says_so(site: Site) -> None:
    config = site.config().add_handlers(Counted).add_worker("north").add_worker("south")
    async with config.build() as cluster:
        s = cluster.scheduler
        job = await s.once_now_async("unknown-to-all", {"n": 0})
        async with asyncio.timeout(15):
            while True:
                reason = (await s.explain_async(job.id)).reasons[0]
                if reason.code == "unknown_handler":
                    break
                await asyncio.sleep(0.05)
        assert "'unknown-to-all'" in reason.message
        assert repr(job.agent_connection) in reason.message


async def test_each_mode_does_its_part_and_nothing_else(site: Site) -> None:
    """A coordinator runs nothing; an executor places nothing; together they do everything."""
    COUNT.reset()

    def config(mode: WorkerMode) -> Cluster:
        made = site.config().add_handlers(Counted).transient_threshold(10)
        return made.add_worker("north", mode=mode, name=mode.value).build()

    executor, coordinator = config(WorkerMode.EXECUTION), config(WorkerMode.COORDINATOR)
    async with executor:
        s = executor.scheduler
        held = await s.once_now_async(Counted, {"n": 1}, unique_key="held")
        direct = await s.once_now_async(Counted, {"n": 2})
        await s.wait_async(direct.id, 10)
        assert (await s.get_job_async(held.id)).status is JobStatus.HELD_ON_MASTER
        async with coordinator:
            assert (await s.wait_async(held.id, 10)).status is JobStatus.SUCCEEDED
            modes = {worker.name: worker.mode for worker in await executor.workers_async()}
            assert modes == {"execution": WorkerMode.EXECUTION, "coordinator": WorkerMode.COORDINATOR}
    async with coordinator:
        waiting = await coordinator.scheduler.once_now_async(Counted, {"n": 3})
        assert waiting.status is JobStatus.HELD_ON_MASTER
        assert await coordinator.buckets_async() == []
    assert COUNT.runs == {1: 1, 2: 1}


async def test_a_producer_needs_no_worker_and_no_handler(site: Site) -> None:
    COUNT.reset()
    producer = site.config().build()
    early = await producer.scheduler.once_now_async("counted", {"n": 1})
    assert early.status is JobStatus.HELD_ON_MASTER
    async with site.config().add_handlers(Counted).add_worker("north").add_worker("south").build():
        assert (await producer.scheduler.wait_async(early.id, 15)).status is JobStatus.SUCCEEDED
        # once it has read the registry it gives jobs to agents itself
        async with asyncio.timeout(15):
            while True:
                job = await producer.scheduler.once_now_async("counted", {"n": 2})
                assert (await producer.scheduler.wait_async(job.id, 15)).status is JobStatus.SUCCEEDED
                if job.agent_connection is not None:
                    break
                await asyncio.sleep(0.1)
    await producer.close_async()


async def test_buckets_are_shown_with_their_life_cycle_and_go_with_their_worker(site: Site) -> None:
    COUNT.reset()
    config = (
        site.config()
        .add_handlers(Blocker)
        .grace_period(10)
        .add_worker("north", bucket_quantity={Priority.CRITICAL: 3}, name="big")
        .add_worker("south", lane="mail")
    )
    async with config.build() as cluster:
        buckets = await cluster.buckets_async()
        assert {bucket.status for bucket in buckets} == {BucketStatus.ACTIVE}
        big = [bucket for bucket in buckets if bucket.worker_name == "big"]
        assert sorted(bucket.priority for bucket in big) == [1, 2, 3, 4, 5, 5, 5]
        assert {bucket.agent_connection for bucket in buckets} == {"north", "south"}
        job = await cluster.scheduler.once_now_async(Blocker, {"n": 1, "seconds": 4})
        await until(cluster, job, JobStatus.PROCESSING)
        holding = [bucket for bucket in await cluster.buckets_async() if bucket.jobs]
        assert [(bucket.worker_name, bucket.jobs) for bucket in holding] == [("big", 1)]
        stopping = asyncio.ensure_future(cluster.stop_async())
        observer = site.config().build()
        async with asyncio.timeout(10):
            while {b.status for b in await observer.buckets_async()} != {BucketStatus.COMPLETING}:
                await asyncio.sleep(0.02)
        await stopping
        assert await observer.buckets_async() == []
        assert await observer.workers_async() == []
        assert (await observer.scheduler.get_job_async(job.id)).status is JobStatus.SUCCEEDED
        await observer.close_async()


async def test_cluster_modes_are_switched_at_run_time_for_all(site: Site) -> None:
    COUNT.reset()
    cluster = site.config().add_handlers(Counted).add_worker("north").add_worker("south").build()
    other = site.config().build()
    async with cluster:
        s = cluster.scheduler
        await cluster.set_mode_async(ClusterMode.PASSIVE)
        job = await s.once_now_async(Counted, {"n": 1})
        explained = [reason.code for reason in (await s.explain_async(job.id)).reasons]
        assert "cluster_passive" in explained
        await cluster.set_mode_async(ClusterMode.ARCHIVED)
        with pytest.raises(ClusterArchived):
            await s.once_now_async(Counted, {"n": 2})
        with pytest.raises(ClusterArchived):
            await other.scheduler.once_now_async("counted", {"n": 3})
        with pytest.raises(ClusterArchived):
            await cluster.drain_async("north")
        assert COUNT.runs == {}
        await cluster.set_mode_async(ClusterMode.ACTIVE)
        assert (await s.wait_async(job.id, 15)).status is JobStatus.SUCCEEDED
    await other.close_async()


@ON_DATABASES
async def test_jobs_on_agents_can_be_looked_up_and_changed(site: Site) -> None:
    """Cancel, reschedule, replace, retry: wherever the job is."""
    COUNT.reset()
    config = site.config().add_handlers(Counted, Blocker).transient_threshold(600)
    async with config.add_worker("north").add_worker("south").build() as cluster:
        s = cluster.scheduler
        waiting = await s.once_after_async(Counted, 300, {"n": 1})
        assert waiting.status is JobStatus.SAVE_PENDING
        assert (await s.get_job_async(waiting.id)).agent_connection == waiting.agent_connection
        await until(cluster, waiting, JobStatus.READY)
        assert await s.cancel_job_async(waiting.id)
        assert not await s.cancel_job_async(waiting.id)
        assert (await s.get_job_async(waiting.id)).status is JobStatus.CANCELLED

        held = await s.once_after_async(Counted, 7200, {"n": 2})
        assert held.status is JobStatus.HELD_ON_MASTER
        moved = await s.reschedule_async(held.id, held.enqueued_at)
        assert (await s.wait_async(moved.id, 15)).status is JobStatus.SUCCEEDED

        running = await s.once_now_async(Blocker, {"n": 3, "seconds": 60})
        await until(cluster, running, JobStatus.PROCESSING)
        assert await s.cancel_job_async(running.id)
        assert (await s.wait_async(running.id, 15)).status is JobStatus.CANCELLED
        again = await s.retry_job_async(running.id)
        await until(cluster, again, JobStatus.PROCESSING)
        assert await s.cancel_job_async(running.id)
        assert (await s.wait_async(running.id, 15)).attempt == 2

        keyed = await s.once_after_async(Counted, 60, {"n": 4}, unique_key="k")
        await until(cluster, keyed, JobStatus.READY)
        replaced = await s.once_now_async(Counted, {"n": 5}, unique_key="k", on_conflict="replace")
        assert replaced.id == keyed.id
        assert (await s.wait_async(keyed.id, 15)).result == 5
        assert COUNT.runs[4] == 0
        fresh = await s.once_now_async(Counted, {"n": 6}, unique_key="k")
        assert fresh.id != keyed.id
        await s.wait_async(fresh.id, 15)
        found = await s.find_jobs_async(limit=3)
        assert [job.id for job in found] == sorted([job.id for job in found], reverse=True)
        assert found.next_cursor is not None
        rest = await s.find_jobs_async(limit=100, cursor=found.next_cursor)
        assert len(found) + len(rest) == await s.count_jobs_async() == 5
