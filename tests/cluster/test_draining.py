"""Emptying agents while jobs flow; from standalone to many agents and back."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from jobmaster import Cluster, ClusterConfig, ConfigurationError, JobRequest, JobStatus
from tests.cluster.conftest import ON_DATABASES, Site
from tests.cluster.handlers import COUNT, Blocker, Counted, Flaky
from tests.cluster.test_lanes_and_modes import until
from tests.cluster.test_mixed import ended
from tests.databases import use


async def test_an_agent_is_emptied_while_jobs_flow(site: Site) -> None:
    COUNT.reset()
    config = site.config().add_handlers(Counted, Flaky, Blocker).transient_threshold(60)
    config.add_worker("north", concurrency=4).add_worker("south", concurrency=4)
    async with config.build() as cluster:
        s = cluster.scheduler
        soon = [JobRequest(Counted, {"n": n}) for n in range(300)]
        later = [JobRequest(Flaky, {"n": n}, delay=timedelta(seconds=3)) for n in range(300, 400)]
        await s.once_many_async([*soon, *later], returning="ids")
        pinned = await s.once_after_async(Counted, 3, {"n": 400}, agent_connection="north")
        running = await s.once_now_async(Blocker, {"n": 401, "seconds": 3.0}, agent_connection="north")
        await until(cluster, running, JobStatus.PROCESSING)
        told: list[int] = []
        draining = asyncio.ensure_future(
            cluster.drain_async("north", progress=lambda report: told.append(report.moved))
        )
        for n in range(402, 452):
            await s.once_now_async(Counted, {"n": n})
            await asyncio.sleep(0.01)
        report = await draining
        assert (report.empty, report.left, report.unshipped) == (True, 0, 0)
        assert told == sorted(told)
        agents = {agent.name: agent for agent in await cluster.agents_async()}
        assert agents["north"].draining
        assert not agents["south"].draining
        await ended(cluster, 452, 40)
        assert await s.count_jobs_async(status=JobStatus.SUCCEEDED) == 452
        assert [n for n in range(452) if COUNT.runs[n] != (2 if 300 <= n < 400 else 1)] == []
        assert (await s.get_job_async(running.id)).agent_connection == "north"
        assert (await s.get_job_async(pinned.id)).agent_connection == "south"
        assert {COUNT.places[n][0] for n in range(300, 400)} == {"south"}
        await cluster.undrain_async("north")
        back = await s.once_now_async(Counted, {"n": 1000}, agent_connection="north")
        assert (await s.wait_async(back.id, 20)).agent_connection == "north"


@ON_DATABASES
async def test_a_drain_that_would_strand_jobs_is_refused(site: Site) -> None:
    config = site.config().add_handlers(Counted).transient_threshold(60).add_worker("north")
    async with config.build() as cluster:
        s = cluster.scheduler
        job = await s.once_after_async(Counted, 30, {"n": 1})
        with pytest.raises(ConfigurationError, match=r"'default'.*hold=True"):
            await cluster.drain_async("north")
        assert not next(a for a in await cluster.agents_async() if a.name == "north").draining
        assert (await s.get_job_async(job.id)).agent_connection == "north"
        report = await cluster.drain_async("north", hold=True)
        assert (report.empty, report.moved) == (True, 1)
        assert (await s.get_job_async(job.id)).status is JobStatus.HELD_ON_MASTER
        with pytest.raises(ConfigurationError, match="no agent connection 'east'"):
            await cluster.drain_async("east")


async def test_standalone_to_agents_and_back_loses_nothing(site: Site) -> None:
    COUNT.reset()

    def standalone() -> ClusterConfig:
        config = use(ClusterConfig("harness"), site.master)
        return config.lease(8).grace_period(1).add_handlers(Counted, Flaky)

    def distributed() -> ClusterConfig:
        return site.config().add_handlers(Counted, Flaky).transient_threshold(60)

    alone = standalone().build()
    keyed = await alone.scheduler.once_after_async(Counted, 4, {"n": 0}, unique_key="k")
    await alone.scheduler.once_many_async(
        [JobRequest(Flaky, {"n": n}, delay=timedelta(seconds=n % 5)) for n in range(1, 100)], returning="ids"
    )
    async with alone:
        await asyncio.sleep(0.5)
    async with distributed().add_worker("north").add_worker("south").build() as cluster:
        s = cluster.scheduler
        await s.once_many_async(
            [JobRequest(Counted, {"n": n}, delay=timedelta(seconds=n % 9)) for n in range(100, 200)],
            returning="ids",
        )
        assert (await s.wait_async(keyed.id, 20)).status is JobStatus.SUCCEEDED
        await cluster.drain_async("north")
        with pytest.raises(ConfigurationError, match="hold=True"):
            await cluster.drain_async("south")
        for name in site.agents:
            assert (await cluster.drain_async(name, hold=True)).empty
        assert all(depth.agent_connection is None for depth in (await cluster.status_async()).depths)
    async with standalone().add_worker().build() as alone:
        await ended(alone, 200, 40)
        assert await alone.scheduler.count_jobs_async(status=JobStatus.SUCCEEDED) == 200
        assert [n for n in range(200) if COUNT.runs[n] != (2 if 1 <= n < 100 else 1)] == []
        with pytest.raises(ConfigurationError, match="standalone cluster has no agents"):
            await alone.drain_async("standalone")


async def test_an_agent_is_replaced_by_one_of_another_name(site: Site) -> None:
    """Drained, then left out of the configuration; its jobs go on elsewhere."""
    COUNT.reset()
    before = site.config().add_handlers(Counted).transient_threshold(60)
    async with before.add_worker("north", concurrency=2).add_worker("south").build() as cluster:
        await cluster.scheduler.once_many_async(
            [JobRequest(Counted, {"n": n}, delay=timedelta(seconds=2)) for n in range(200)], returning="ids"
        )
        assert (await cluster.drain_async("north")).empty
    left = Site(site.master, {"south": site.agents["south"]})
    async with left.config().add_handlers(Counted).add_worker("south").build() as cluster:
        await ended(cluster, 200, 30)
        assert sum(COUNT.runs.values()) == 200
        assert {place[0] for place in COUNT.places.values()} == {"south"}


@ON_DATABASES
async def test_a_drain_worker_empties_an_agent_on_which_others_work(site: Site) -> None:
    """Its jobs go elsewhere, and none of them comes back."""
    COUNT.reset()
    config = site.config().add_handlers(Counted).transient_threshold(60)
    config.add_worker("north").add_worker("south")
    async with config.build() as cluster:
        s = cluster.scheduler
        requests = [
            JobRequest(Counted, {"n": n}, delay=timedelta(seconds=10), agent_connection="north")
            for n in range(50)
        ]
        ids = await s.once_many_async(requests, returning="ids")
        drainer = site.config().add_worker("north", mode="drain", name="drainer").build()
        async with drainer:
            async with asyncio.timeout(20):
                while await on_agent(cluster, "north"):
                    await asyncio.sleep(0.05)
            fresh = [await s.once_after_async(Counted, 4, {"n": n}) for n in range(50, 60)]
            await ended(cluster, 60, 30)
        jobs = [await s.get_job_async(job_id) for job_id in (*ids, *(job.id for job in fresh))]
        assert {job.agent_connection for job in jobs} == {"south"}
        assert set(COUNT.runs.values()) == {1}


async def on_agent(cluster: Cluster, name: str) -> int:
    """How many live jobs an agent has."""
    depths = (await cluster.status_async()).depths
    return sum(depth.jobs for depth in depths if depth.agent_connection == name)
