"""Agents that are gone, or were given up, in clusters that run; keys that one call repeats."""

from __future__ import annotations

import asyncio

from jobmaster import JobRequest, JobStatus
from tests.cluster.conftest import ON_DATABASES, Site
from tests.cluster.handlers import COUNT, Counted
from tests.cluster.test_mixed import ended
from tests.databases import execute


@ON_DATABASES
async def test_an_agent_whose_tables_are_gone_is_passed_over(site: Site) -> None:
    """Producers use the others, or the master; who looks at the agents is told why."""
    config = site.config().operation_timeout(2).add_handlers(Counted).add_worker("north").add_worker("south")
    async with config.build() as cluster:
        s = cluster.scheduler
        execute(site.agents["north"], "ALTER TABLE jm_job RENAME TO jm_elsewhere")
        try:
            pinned = await s.once_now_async(Counted, {"n": 1}, agent_connection="north")
            assert pinned.status is JobStatus.HELD_ON_MASTER
            some = await s.once_many_async([JobRequest(Counted, {"n": n}) for n in range(200)])
            assert "north" not in {job.agent_connection for job in some}
            assert (await s.once_now_async(Counted, {"n": 2})).agent_connection == "south"
        finally:
            execute(site.agents["north"], "ALTER TABLE jm_elsewhere RENAME TO jm_job")


async def test_an_agent_that_was_given_up_elsewhere_is_worked_with_no_more(site: Site) -> None:
    COUNT.reset()
    config = site.config().add_handlers(Counted).add_worker("north").add_worker("south")
    async with config.build() as cluster:
        s = cluster.scheduler
        cluster._backend.master.forget_agent("north")
        async with asyncio.timeout(15):
            while not cluster._backend.roster.is_forgotten("north"):
                await asyncio.sleep(0.05)
        pinned = await s.once_now_async(Counted, {"n": 1}, agent_connection="north")
        assert pinned.status is JobStatus.HELD_ON_MASTER
        free = [await s.once_now_async(Counted, {"n": n}) for n in range(2, 12)]
        assert {job.agent_connection for job in free} == {"south"}
        for job in free:
            await s.wait_async(job.id, 20)
        assert COUNT.runs[1] == 0


async def test_the_jobs_of_one_call_that_repeat_a_key_are_one_job_each(site: Site) -> None:
    """Also when the first of a key has ended before the call has looked at the others."""
    COUNT.reset()
    config = site.config().add_handlers(Counted).add_worker("north").add_worker("south")
    async with config.build() as cluster:
        s = cluster.scheduler
        requests = [JobRequest(Counted, {"n": n}, unique_key=f"k{n % 50}") for n in range(400)]
        jobs = await s.once_many_async(requests)
        assert len({job.id for job in jobs}) == 50
        assert [job.id for job in jobs] == [job.id for job in jobs[:50]] * 8
        await ended(cluster, 50, 20)
        await asyncio.sleep(0.5)
        assert COUNT.runs == dict.fromkeys(range(50), 1)
