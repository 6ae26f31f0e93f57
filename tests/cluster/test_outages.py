"""A master, or an agent, is away for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from jobmaster import Cluster, ClusterConfig, JobRequest, JobStatus, TransportUnavailable
from tests.cluster.handlers import COUNT, Counted, Flaky
from tests.cluster.test_mixed import ended, settled
from tests.databases import use
from tests.servers import MariaDbServer, PostgresServer, ServerAbsent, absent

pytestmark = [pytest.mark.postgres, pytest.mark.mariadb]
AWAY = [pytest.param(6.0, id="ci"), pytest.param(60.0, id="long", marks=pytest.mark.long)]

FROZEN = [pytest.param(6.0, id="ci"), pytest.param(60.0, id="long", marks=pytest.mark.long)]


class Servers:
    """A server for the master and one for each agent, so that each can be stopped by itself."""

    def __init__(self, stack: ExitStack) -> None:
        try:
            self.master = stack.enter_context(PostgresServer())
            self.pg = stack.enter_context(PostgresServer())
        except ServerAbsent as reason:
            absent("postgres", reason)
        try:
            self.maria = stack.enter_context(MariaDbServer())
        except ServerAbsent as reason:
            absent("mariadb", reason)
        self.urls = [server.create_database() for server in (self.master, self.pg, self.maria)]

    def config(self) -> ClusterConfig:
        master, pg, maria = self.urls
        config = ClusterConfig("outages").lease(3).grace_period(1).operation_timeout(3)
        return use(config.add_handlers(Counted, Flaky), master, {"pg": pg, "maria": maria})


@pytest.fixture
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)


async def produce(
    cluster: Cluster, stop: asyncio.Event, pause: float = 0.02, told: list[float] | None = None
) -> tuple[int, float]:
    """Enqueue one job after the other; how many were accepted, and how long the slowest call took. ``told``
    hears when each was accepted."""
    count, slowest = 0, 0.0
    while not stop.is_set():
        began = time.monotonic()
        await cluster.scheduler.once_now_async(Flaky if count % 7 == 0 else Counted, {"n": count})
        slowest = max(slowest, time.monotonic() - began)
        if told is not None:
            told.append(time.monotonic())
        count += 1
        await asyncio.sleep(pause)
    return count, slowest


@pytest.mark.parametrize("away", AWAY)
async def test_a_master_that_is_away_stops_neither_producers_nor_workers(
    servers: Servers, away: float
) -> None:
    COUNT.reset()
    config = servers.config().add_worker("pg").add_worker("maria")
    async with config.build() as cluster:
        stop = asyncio.Event()
        await cluster.scheduler.once_now_async(Counted, {"n": -1})
        told: list[float] = []
        producing = asyncio.ensure_future(produce(cluster, stop, told=told))
        # these begin on the master and come due when only it could say whether they may run
        doubtful = [
            await cluster.scheduler.once_after_async(Counted, 2, {"n": -3 - n}, unique_key=f"k{n}")
            for n in range(5)
        ]
        await asyncio.sleep(1)
        await asyncio.to_thread(servers.master.kill)
        await asyncio.sleep(away / 2)
        with pytest.raises(TransportUnavailable):
            await cluster.scheduler.once_after_async(Counted, 3600, {"n": -2})
        await asyncio.sleep(away / 2)
        since = time.monotonic() - 3
        waiting = [n for n, at in enumerate(told) if at < since and COUNT.runs[n] == 0]
        assert waiting == [], "not everything ran while the master was away"
        await asyncio.to_thread(servers.master.start)
        await asyncio.sleep(1)
        stop.set()
        count, slowest = await producing
        assert slowest < 2.9
        for job in doubtful:
            assert (await cluster.scheduler.wait_async(job.id, 40)).status is JobStatus.SUCCEEDED
        await ended(cluster, count + 6, 40)
        await settled(cluster)
        assert await cluster.scheduler.count_jobs_async(status=JobStatus.SUCCEEDED) == count + 6
        assert [n for n in range(count) if COUNT.runs[n] != (2 if n % 7 == 0 else 1)] == []
        # every run is on record, those included that the master could not be told of
        flaky = list(await cluster.scheduler.find_jobs_async(definition_id="flaky", limit=1000))
        for job in flaky[:: max(1, len(flaky) // 10)]:
            assert [run.number for run in await cluster.scheduler.attempts_async(job.id)] == [1, 2]


@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize("name", ["pg", "maria"])
async def test_producers_use_the_other_agent_and_workers_come_back_by_themselves(
    servers: Servers, away: float, name: str
) -> None:
    COUNT.reset()
    server = servers.pg if name == "pg" else servers.maria
    config = servers.config().add_worker("pg").add_worker("maria")
    async with config.build() as cluster:
        stop = asyncio.Event()
        producing = asyncio.ensure_future(produce(cluster, stop))
        await asyncio.sleep(1)
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(away)
        down = {agent.name: agent.reachable for agent in await cluster.agents_async()}
        assert down == {"pg": name != "pg", "maria": name != "maria"}
        await asyncio.to_thread(server.start)
        stop.set()
        count, _slowest = await producing
        await ended(cluster, count, 60)
        assert await cluster.scheduler.count_jobs_async(status=JobStatus.SUCCEEDED) == count
        # whoever lost its lease meanwhile runs what it had begun once more, and nothing else is run again
        again = [n for n in range(count) if COUNT.runs[n] > (2 if n % 7 == 0 else 1)]
        assert len(again) <= 60
        # the worker of that agent works again
        before = dict(COUNT.places)
        requests = [JobRequest(Counted, {"n": count + n}, agent_connection=name) for n in range(5)]
        await cluster.scheduler.once_many_async(requests)
        await ended(cluster, count + 5, 30)
        assert {COUNT.places[count + n][0] for n in range(5)} == {name}
        assert before.items() <= COUNT.places.items()


async def test_with_all_stores_away_the_error_is_clear_and_names_the_jobs(servers: Servers) -> None:
    config = servers.config().operation_timeout(1)
    cluster = config.build()
    await cluster.scheduler.count_jobs_async()
    for server in (servers.master, servers.pg, servers.maria):
        await asyncio.to_thread(server.kill)
    with pytest.raises(TransportUnavailable, match="no store accepted") as caught:
        await cluster.scheduler.once_now_async(Counted, {"n": 1})
    assert len(caught.value.job_ids) == 1
    with pytest.raises(TransportUnavailable):
        await cluster.scheduler.once_many_async([JobRequest(Counted, {"n": 1})])
    await cluster.close_async()


@pytest.mark.parametrize("away", FROZEN)
async def test_a_frozen_master_stops_neither_producers_nor_workers(servers: Servers, away: float) -> None:
    """Its connections stay open and nothing comes: whoever asks it gives up in time."""
    COUNT.reset()
    config = servers.config().add_worker("pg").add_worker("maria")
    cluster = config.build()
    await cluster.start_async()
    stop = asyncio.Event()
    await cluster.scheduler.once_now_async(Counted, {"n": -1})
    producing = asyncio.ensure_future(produce(cluster, stop))
    await asyncio.sleep(1)
    servers.master.pause()
    try:
        await asyncio.sleep(away / 2)
        seen = sum(COUNT.runs.values())
        began = time.monotonic()
        with pytest.raises(TransportUnavailable):
            await cluster.scheduler.once_after_async(Counted, 3600, {"n": -2})
        assert time.monotonic() - began < 10
        await asyncio.sleep(away / 2)
        assert sum(COUNT.runs.values()) > seen, "nothing ran while the master was frozen"
        stop.set()
        count, slowest = await producing
        assert slowest < 2.9
        began = time.monotonic()
        await cluster.stop_async()
        assert time.monotonic() - began < 15, "a stop waited for the frozen master"
    finally:
        servers.master.resume()
    async with cluster:
        await ended(cluster, count + 1, 40)
        await settled(cluster)
        assert [n for n in range(count) if COUNT.runs[n] != (2 if n % 7 == 0 else 1)] == []


@pytest.mark.parametrize("away", FROZEN)
@pytest.mark.parametrize("name", ["pg", "maria"])
async def test_producers_turn_away_from_a_frozen_agent_and_its_workers_come_back(
    servers: Servers, away: float, name: str
) -> None:
    COUNT.reset()
    server = servers.pg if name == "pg" else servers.maria
    config = servers.config().add_worker("pg").add_worker("maria")
    async with config.build() as cluster:
        stop = asyncio.Event()
        producing = asyncio.ensure_future(produce(cluster, stop))
        await asyncio.sleep(1)
        server.pause()
        try:
            await asyncio.sleep(away)
            down = {agent.name: agent.reachable for agent in await cluster.agents_async()}
            assert down == {"pg": name != "pg", "maria": name != "maria"}
            seen = len(COUNT.places)
            async with asyncio.timeout(6):  # nothing else may take longer on the other agent
                while len(COUNT.places) == seen:
                    await asyncio.sleep(0.02)
        finally:
            server.resume()
        stop.set()
        count, slowest = await producing
        # the operation timeout: an insert whose commit was under way may go nowhere else
        assert slowest < 6.0
        await ended(cluster, count, 60)
        assert await cluster.scheduler.count_jobs_async(status=JobStatus.SUCCEEDED) == count
        again = [n for n in range(count) if COUNT.runs[n] > (2 if n % 7 == 0 else 1)]
        assert len(again) <= 60
        requests = [JobRequest(Counted, {"n": count + n}, agent_connection=name) for n in range(5)]
        await cluster.scheduler.once_many_async(requests)
        await ended(cluster, count + 5, 30)
        assert {COUNT.places[count + n][0] for n in range(5)} == {name}
