"""A cluster with a NATS agent: many jobs, long ones, frozen workers, servers and a master that go away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import nats
import pytest

from jobmaster import Cluster, ClusterConfig, JobRequest, JobStatus, StoreError
from jobmaster.domain.job import AttemptOutcome
from tests.cluster.handlers import COUNT, Blocker, Counted, Flaky
from tests.cluster.test_mixed import ended, settled
from tests.harness.checker import observer_of, reruns, until_all_ended, verify
from tests.harness.processes import Workers
from tests.servers import NatsCluster, NatsServer, PostgresServer, ServerAbsent, absent

pytestmark = [pytest.mark.nats, pytest.mark.postgres]
VERSIONS = [pytest.param(False, id="newest"), pytest.param(True, id="oldest")]
LONG = pytest.mark.long


@pytest.fixture(params=VERSIONS)
def server(request: pytest.FixtureRequest) -> Iterator[NatsServer]:
    """A server of one's own, of the newest and of the oldest version."""
    try:
        with NatsServer(oldest=request.param) as server:
            yield server
    except ServerAbsent as reason:
        absent("nats", reason)


@pytest.fixture(params=VERSIONS)
def three(request: pytest.FixtureRequest) -> Iterator[NatsCluster]:
    """Three servers that make up a cluster."""
    try:
        with NatsCluster(oldest=request.param) as cluster:
            yield cluster
    except ServerAbsent as reason:
        absent("nats", reason)


def messages_left(url: str) -> dict[str, int]:
    """How many messages the streams of jobs and of outcomes hold."""

    async def look() -> dict[str, int]:
        client = await nats.connect(url.split(","))
        try:
            streams = await client.jsm().streams_info()
            counts = {str(info.config.name): info.state.messages for info in streams}
            return {name: count for name, count in counts.items() if not name.endswith("-state")}
        finally:
            await client.close()

    return asyncio.run(look())


@pytest.mark.parametrize(
    ("jobs", "spread"),
    [pytest.param(300, 8.0, id="ci"), pytest.param(20_000, 90.0, id="long", marks=LONG)],
)
def test_jobs_due_now_and_soon_run_once_and_leave_nothing(
    server: NatsServer, postgres_url: str, tmp_path: Path, jobs: int, spread: float
) -> None:
    """As many now as within the next seconds; without faults none runs twice, and the streams are empty."""
    agents = {"n": server.url}
    with (
        observer_of(postgres_url, agents, 120) as observer,
        Workers(
            postgres_url, tmp_path, agents, lease=15, threshold=120, concurrency=50, batch_size=250
        ) as workers,
    ):
        workers.start(2, ["n::full"])
        # one that is told to stop before it has begun to listen for that ends by the signal
        end = time.monotonic() + 60
        while len(observer.workers()) < 2:
            assert time.monotonic() < end, observer.workers()
            time.sleep(0.05)
        s = observer.scheduler
        for first in range(0, jobs, 1000):
            part = range(first, min(jobs, first + 1000))
            s.once_many([JobRequest("numbered", {"number": n}) for n in part], returning="ids")
            later = [
                JobRequest("numbered", {"number": jobs + n}, delay=spread * (n % 997) / 997) for n in part
            ]
            s.once_many(later, returning="ids")
        until_all_ended(observer, 2 * jobs, 60 + 4 * spread)
        marks = verify(observer, workers.record, 2 * jobs)
        assert reruns(marks) == 0
        for worker in workers.running:
            assert worker.stop() == 0
    assert set(messages_left(server.url).values()) == {0}


def test_a_handler_that_runs_ten_leases_long_runs_once(
    server: NatsServer, postgres_url: str, tmp_path: Path
) -> None:
    agents = {"n": server.url}
    with (
        observer_of(postgres_url, agents, 60) as observer,
        Workers(postgres_url, tmp_path, agents, lease=2, threshold=60) as workers,
    ):
        workers.start(2, ["n::full"])
        requests = [JobRequest("numbered", {"number": n, "seconds": 20.0}) for n in range(4)]
        observer.scheduler.once_many(requests, returning="ids")
        until_all_ended(observer, 4, 60)
        assert reruns(verify(observer, workers.record, 4)) == 0


def test_a_worker_frozen_past_its_lease_neither_acks_nor_changes_the_outcome(
    server: NatsServer, postgres_url: str, tmp_path: Path
) -> None:
    """Jobs that end while it is frozen, and jobs that it would still be running when it wakes."""
    agents = {"n": server.url}
    with (
        observer_of(postgres_url, agents, 60) as observer,
        Workers(postgres_url, tmp_path, agents, lease=2, threshold=60) as workers,
    ):
        s = observer.scheduler
        frozen = workers.start(1, ["n::full"])[0]
        seconds = [0.5, 0.5, 6.0, 6.0]
        ids = s.once_many(
            [JobRequest("numbered", {"number": n, "seconds": t}) for n, t in enumerate(seconds)],
            returning="ids",
        )
        end = time.monotonic() + 20
        while not workers.has_begun() and time.monotonic() < end:
            time.sleep(0.005)
        frozen.freeze()
        workers.start(1, ["n::full"])
        until_all_ended(observer, 4, 40)
        before = {job_id: s.get_job(job_id) for job_id in ids}
        frozen.thaw()
        # it finds out that its lease is over, stops its handlers, and takes up work again
        (last,) = s.once_many([JobRequest("numbered", {"number": 4})], returning="ids")
        s.wait(last, timeout=20)
        time.sleep(1.5)
        assert {job_id: s.get_job(job_id) for job_id in ids} == before
        verify(observer, workers.record, 5)
        lost = [job_id for job_id in ids if before[job_id].losses]
        assert lost
        for job_id in lost:
            assert [run.outcome for run in s.attempts(job_id)] == [
                AttemptOutcome.LOST,
                AttemptOutcome.SUCCEEDED,
            ]
    assert set(messages_left(server.url).values()) == {0}


# --- servers that go away ---------------------------------------------------------------------------


def config_on(url: str, master: str, **options: int) -> ClusterConfig:
    """A cluster in this process."""
    config = ClusterConfig("nodes").lease(5).grace_period(1).operation_timeout(15)
    return (
        config.use_postgres_for_master(master)
        .add_agent_connection("n", url, **options)
        .add_handlers(Counted, Flaky)
        .add_worker("n")
    )


async def produce(cluster: Cluster, stop: asyncio.Event) -> tuple[int, float]:
    """Enqueue one job after the other; how many were accepted, and how long the slowest call took."""
    count, slowest = 0, 0.0
    while not stop.is_set():
        began = time.monotonic()
        await cluster.scheduler.once_now_async(Flaky if count % 7 == 0 else Counted, {"n": count})
        slowest = max(slowest, time.monotonic() - began)
        count += 1
        await asyncio.sleep(0.01)
    return count, slowest


class Pulse:
    """Watches how long nothing runs."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        seen, at = sum(COUNT.runs.values()), time.monotonic()
        while True:
            await asyncio.sleep(0.05)
            now = sum(COUNT.runs.values())
            if now != seen:
                seen, at = now, time.monotonic()
            self.longest = max(self.longest, time.monotonic() - at)


def unlike_once(count: int) -> list[int]:
    """The jobs that did not run as often as they should."""
    return [n for n in range(count) if COUNT.runs[n] != (2 if n % 7 == 0 else 1)]


@pytest.mark.parametrize("rounds", [pytest.param(1, id="ci"), pytest.param(3, id="long", marks=LONG)])
async def test_a_node_of_three_that_is_killed_under_load_and_comes_back_loses_nothing(
    three: NatsCluster, postgres_url: str, rounds: int
) -> None:
    COUNT.reset()
    async with config_on(three.url, postgres_url, replicas=3).build() as cluster:
        await cluster.scheduler.wait_async(
            (await cluster.scheduler.once_now_async(Counted, {"n": -1})).id, 20
        )
        stop, pulse = asyncio.Event(), Pulse()
        producing = asyncio.ensure_future(produce(cluster, stop))
        watching = asyncio.ensure_future(pulse.watch())
        for number in range(rounds):
            await asyncio.sleep(1)
            # the one that leads the stream of jobs, so that another has to be elected
            node = three.nodes[await asyncio.to_thread(three.leader_of, "jm-nodes-n-jobs")]
            await asyncio.to_thread(node.kill)
            await asyncio.sleep(6)
            await asyncio.to_thread(node.start)
            await asyncio.sleep(2 if number + 1 < rounds else 1)
        stop.set()
        count, slowest = await producing
        await ended(cluster, count + 1, 60)
        watching.cancel()
        await settled(cluster)
        assert pulse.longest < 10.0
        assert slowest < 10.0
        assert await cluster.scheduler.count_jobs_async(status=JobStatus.SUCCEEDED) == count + 1
        assert [n for n in range(count) if COUNT.runs[n] < (2 if n % 7 == 0 else 1)] == []


async def test_two_of_three_nodes_are_enough_to_begin_with(three: NatsCluster, tmp_path: Path) -> None:
    """Also while they elect who leads in place of the one that is gone."""
    COUNT.reset()
    await asyncio.to_thread(three.nodes[0].kill)
    config = ClusterConfig("two").use_sqlite_for_master(tmp_path / "master.db").startup_timeout(60)
    config.add_agent_connection("n", three.url, replicas=3).add_worker("n").add_handlers(Counted)
    async with config.operation_timeout(30).build() as cluster:
        job = await cluster.scheduler.once_now_async(Counted, {"n": 1}, agent_connection="n")
        assert (await cluster.scheduler.wait_async(job.id, 40)).status is JobStatus.SUCCEEDED
    await asyncio.to_thread(three.nodes[1].kill)
    with pytest.raises(StoreError, match="more than half of the servers have to be up"):
        await config.startup_timeout(1).build().start_async()


async def test_three_nodes_that_are_all_restarted_lose_nothing(three: NatsCluster, postgres_url: str) -> None:
    COUNT.reset()
    async with config_on(three.url, postgres_url, replicas=3).build() as cluster:
        await cluster.scheduler.once_now_async(Counted, {"n": -1})
        stop = asyncio.Event()
        producing = asyncio.ensure_future(produce(cluster, stop))
        await asyncio.sleep(1)
        for node in three.nodes:
            await asyncio.to_thread(node.stop)
        await asyncio.sleep(1)
        for node in three.nodes:
            await asyncio.to_thread(node.start)
        await asyncio.to_thread(three.await_leader)
        await asyncio.sleep(2)
        stop.set()
        count, _ = await producing
        await ended(cluster, count + 1, 60)
        await settled(cluster)
        assert await cluster.scheduler.count_jobs_async(status=JobStatus.SUCCEEDED) == count + 1
        assert [n for n in range(count) if COUNT.runs[n] < (2 if n % 7 == 0 else 1)] == []


@pytest.mark.parametrize("away", [pytest.param(6.0, id="ci"), pytest.param(60.0, id="long", marks=LONG)])
async def test_a_master_that_is_away_loses_nothing_and_nothing_runs_again(
    server: NatsServer, away: float
) -> None:
    COUNT.reset()
    try:
        master = PostgresServer()
    except ServerAbsent as reason:
        absent("postgres", reason)
    with ExitStack() as stack:
        stack.enter_context(master)
        url = master.create_database()
        async with config_on(server.url, url).build() as cluster:
            first = await cluster.scheduler.once_now_async(Counted, {"n": -1})
            await cluster.scheduler.wait_async(first.id, 20)
            stop = asyncio.Event()
            producing = asyncio.ensure_future(produce(cluster, stop))
            await asyncio.sleep(1)
            await asyncio.to_thread(master.kill)
            await asyncio.sleep(away / 2)
            seen = sum(COUNT.runs.values())
            await asyncio.sleep(away / 2)
            assert sum(COUNT.runs.values()) > seen, "nothing ran while the master was away"
            await asyncio.to_thread(master.start)
            await asyncio.sleep(1)
            stop.set()
            count, slowest = await producing
            assert slowest < 3.0
            await ended(cluster, count + 1, 60)
            await settled(cluster)
            assert await cluster.scheduler.count_jobs_async(status=JobStatus.SUCCEEDED) == count + 1
            assert unlike_once(count) == []
    left = await asyncio.to_thread(messages_left, server.url)
    assert set(left.values()) == {0}


async def test_a_server_that_is_restarted_loses_nothing(server: NatsServer, postgres_url: str) -> None:
    COUNT.reset()
    async with config_on(server.url, postgres_url).build() as cluster:
        await cluster.scheduler.once_now_async(Counted, {"n": -1})
        stop = asyncio.Event()
        producing = asyncio.ensure_future(produce(cluster, stop))
        await asyncio.sleep(1)
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(1.5)
        await asyncio.to_thread(server.start)
        await asyncio.sleep(2)
        stop.set()
        count, _ = await producing
        await ended(cluster, count + 1, 60)
        await settled(cluster)
        assert await cluster.scheduler.count_jobs_async(status=JobStatus.SUCCEEDED) == count + 1
        assert [n for n in range(count) if COUNT.runs[n] < (2 if n % 7 == 0 else 1)] == []


# --- single jobs ------------------------------------------------------------------------------------


async def test_jobs_are_looked_up_and_changed_wherever_they_are(
    server: NatsServer, postgres_url: str
) -> None:
    """Cancel, reschedule, replace, retry, explain: of jobs that wait on NATS, run there, or are held."""
    COUNT.reset()
    agents = config_on(server.url, postgres_url).add_handlers(Blocker)
    producer = agents.build(workers=False)
    s = producer.scheduler
    await s.count_jobs_async()
    # nobody works yet: jobs that ask for the agent wait there
    ids = [(await s.once_now_async(Counted, {"n": n}, agent_connection="n")).id for n in range(4)]
    assert (await s.get_job_async(ids[0])).agent_connection == "n"
    assert "no_worker" in [reason.code for reason in (await s.explain_async(ids[0])).reasons]
    assert await s.cancel_job_async(ids[0])
    assert not await s.cancel_job_async(ids[0])
    assert (await s.get_job_async(ids[0])).status is JobStatus.CANCELLED
    later = await s.reschedule_async(ids[1], datetime.now(UTC) + timedelta(seconds=6))
    assert later.status is JobStatus.HELD_ON_MASTER
    assert await s.count_jobs_async() == 4
    assert await s.count_jobs_async(definition_id="counted", status="cancelled") == 1
    async with config_on(server.url, postgres_url).add_handlers(Blocker).build() as cluster:
        s = cluster.scheduler
        for job_id in ids[1:]:
            assert (await s.wait_async(job_id, 20)).status is JobStatus.SUCCEEDED
        running = await s.once_now_async(Blocker, {"n": 10, "seconds": 60})
        await until(cluster, running.id, JobStatus.PROCESSING)
        assert "running" in [reason.code for reason in (await s.explain_async(running.id)).reasons]
        assert await s.cancel_job_async(running.id)
        assert (await s.wait_async(running.id, 15)).status is JobStatus.CANCELLED
        await s.retry_job_async(running.id)
        await until(cluster, running.id, JobStatus.PROCESSING)
        assert await s.cancel_job_async(running.id)
        assert (await s.wait_async(running.id, 15)).attempt == 2
        keyed = await s.once_after_async(Counted, 60, {"n": 11}, unique_key="k")
        replaced = await s.once_now_async(Counted, {"n": 12}, unique_key="k", on_conflict="replace")
        assert replaced.id == keyed.id
        assert (await s.wait_async(keyed.id, 15)).result == 12
        found = await s.find_jobs_async(limit=3)
        rest = await s.find_jobs_async(limit=100, cursor=found.next_cursor)
        assert len(found) + len(rest) == await s.count_jobs_async() == 6
    assert COUNT.runs[0] == COUNT.runs[11] == 0
    await producer.close_async()


async def until(cluster: Cluster, job_id: UUID, status: JobStatus) -> None:
    async with asyncio.timeout(15):
        while (await cluster.scheduler.get_job_async(job_id)).status is not status:
            await asyncio.sleep(0.05)


async def test_an_agent_is_drained_while_its_worker_keeps_jobs_that_are_nearly_due(
    server: NatsServer, postgres_url: str
) -> None:
    COUNT.reset()
    async with config_on(server.url, postgres_url).lease(2).build() as cluster:
        s = cluster.scheduler
        await s.wait_async((await s.once_now_async(Counted, {"n": -1})).id, 20)
        ids = [(await s.once_after_async(Counted, 1.9, {"n": n})).id for n in range(50)]
        report = await cluster.drain_async("n", hold=True, timeout=30)
        assert report.empty
        statuses = [(await s.get_job_async(job_id)).status for job_id in ids]
        assert JobStatus.HELD_ON_MASTER in statuses
        assert await s.count_jobs_async() == 51
        await cluster.undrain_async("n")
        for job_id in ids:
            assert (await s.wait_async(job_id, 30)).status is JobStatus.SUCCEEDED
        assert {COUNT.runs[n] for n in range(50)} == {1}
