"""The life of a cluster: starting, stopping, sharing a process, being told and observed."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from jobmaster import (
    ClusterArchived,
    ClusterConfig,
    ConfigurationError,
    Event,
    JobContext,
    JobHandler,
    JobRequest,
    JobStatus,
    get_scheduler,
)
from jobmaster.domain.events import JobFinished, JobRetrying, JobStarted, WorkerStarted, WorkerStopped
from tests.api.conftest import configure
from tests.api.handlers import FailsTwice, Hello, InThread


def test_a_sync_application_runs_it_in_a_thread(database_url: str) -> None:
    cluster = configure(database_url).add_worker().build()
    for _ in range(2):  # a stopped cluster can start again
        with cluster:
            assert cluster.is_running
            job = cluster.scheduler.once_now(InThread)
            assert cluster.scheduler.wait(job.id, timeout=10).status is JobStatus.SUCCEEDED
        assert not cluster.is_running
    cluster.start()
    with pytest.raises(RuntimeError, match="runs already"):
        cluster.start()
    cluster.stop()
    cluster.stop()
    assert cluster.scheduler.count_jobs() == 2
    cluster.close()


async def test_stopping_in_the_same_loop_and_starting_again(database_url: str) -> None:
    cluster = configure(database_url).add_worker().build()
    await cluster.start_async()
    assert [worker.agent_connection for worker in await cluster.workers_async()] == ["standalone"]
    assert {bucket.lane for bucket in await cluster.buckets_async()} == {"default"}
    await cluster.stop_async()
    await cluster.stop_async()
    assert cluster.workers() == []
    assert cluster.buckets() == []
    await cluster.close_async()


async def test_several_clusters_share_a_process(tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path / name}.db" for name in "ab"]
    a, b = (configure(url, name).add_worker().build() for url, name in zip(urls, ("one", "two"), strict=True))
    async with a, b:
        jobs = [await c.scheduler.once_now_async(Hello, {"name": c.id}) for c in (a, b)]
        done = [await c.scheduler.wait_async(j.id, 10) for c, j in zip((a, b), jobs, strict=True)]
        assert [job.result for job in done] == ["Hello one", "Hello two"]
        assert get_scheduler("one") is a.scheduler
        assert get_scheduler("two") is b.scheduler
        with pytest.raises(ConfigurationError, match="'three'"):
            get_scheduler("three")


def test_two_workers_serve_their_lanes_only(database_url: str) -> None:
    config = configure(database_url).add_worker(name="a", lane="a").add_worker(name="b", lane="b")
    with config.build() as cluster:
        s = cluster.scheduler
        for lane in ("a", "b"):
            job = s.wait(s.once_now(Hello, {"name": lane}, lane=lane).id, 10)
            names = {worker.id: worker.name for worker in cluster.workers()}
            assert names[job.worker_id] == lane
        stray = s.once_now(Hello, {"name": "c"}, lane="c")
        assert s.explain(stray.id).reasons[0].code == "no_worker_on_lane"
        assert s.get_job(stray.id).status is JobStatus.READY


def test_modes_and_pins(database_url: str) -> None:
    with configure(database_url).add_worker().build() as cluster:
        s = cluster.scheduler
        cluster.set_mode("passive")
        job = s.once_now(Hello, {"name": "x"})
        with pytest.raises(TimeoutError):
            s.wait(job.id, 0.3)
        cluster.set_mode("active")
        assert s.wait(job.id, 10).status is JobStatus.SUCCEEDED
        cluster.set_mode("archived")
        for call in (lambda: s.once_now(Hello, {"name": "x"}), lambda: s.retry_job(job.id)):
            with pytest.raises(ClusterArchived):
                call()
        assert s.get_job(job.id).status is JobStatus.SUCCEEDED
    # pinned: it survives a restart
    again = configure(database_url).add_worker().build()
    assert again.status().mode.value == "archived"
    assert again.settings()["cluster_mode"].pinned
    again.set_mode("active")
    again.unpin("cluster_mode")
    again.pin("default_max_retries", 7)
    with pytest.raises(ConfigurationError, match="default_max_retries"):
        again.pin("default_max_retries", -1)
    with pytest.raises(ConfigurationError, match="there is no setting"):
        again.pin("nonsense", 1)
    assert again.settings()["default_max_retries"].value == 7
    again.close()


class Greeting:
    def __init__(self, text: str) -> None:
        self.text = text


opened: list[str] = []


async def make_greeting() -> AsyncIterator[Greeting]:
    opened.append("open")
    yield Greeting("Good day")
    opened.append("close")


class Greets(JobHandler, definition_id="greets"):
    def __init__(self, greeting: Greeting) -> None:
        self.greeting = greeting

    async def handle(self, job: JobContext) -> str:
        return f"{self.greeting.text} {job.data['name']}"


async def test_services_middleware_and_observers(database_url: str) -> None:
    opened.clear()
    order: list[str] = []
    events: list[Event] = []

    class Wrap:
        def __init__(self, name: str) -> None:
            self.name = name

        async def __call__(
            self, job: JobContext, call_next: Callable[[JobContext], Awaitable[object]]
        ) -> object:
            order.append(f"{self.name} in")
            result = await call_next(job)
            order.append(f"{self.name} out")
            return result

    class Watcher:
        def on_event(self, event: Event) -> None:
            events.append(event)

    class Broken:
        def on_event(self, event: Event) -> None:
            raise RuntimeError("an observer disturbs nobody")

    config = configure(database_url, handlers=[Greets, FailsTwice]).add_worker()
    config = config.add_service(Greeting, make_greeting).add_middleware(Wrap("a")).add_middleware(Wrap("b"))
    cluster = config.add_observer(Broken()).add_observer(Watcher()).build()
    async with cluster:
        s = cluster.scheduler
        job = await s.wait_async((await s.once_now_async(Greets, {"name": "Ada"})).id, 10)
        assert job.result == "Good day Ada"
        assert order == ["a in", "b in", "b out", "a out"]
        assert opened == ["open"]
        await s.wait_async((await s.once_now_async(FailsTwice)).id, 10)
    assert opened == ["open", "close"]
    kinds = [type(event) for event in events]
    assert kinds[0] is WorkerStarted
    assert kinds[-1] is WorkerStopped
    assert kinds.count(JobStarted) == 4
    assert kinds.count(JobRetrying) == 2
    assert [e.status for e in events if isinstance(e, JobFinished)] == [JobStatus.SUCCEEDED] * 2


async def test_an_unknown_definition_waits_for_a_worker_that_knows_it(database_url: str) -> None:
    old = configure(database_url, handlers=[Hello]).add_worker(name="old").build()
    async with old:
        job = await old.scheduler.once_now_async("greets", {"name": "x"})
        async with asyncio.timeout(10):
            while not old.status().workers[0].unknown_definitions:
                await asyncio.sleep(0.05)
        waiting = await old.scheduler.get_job_async(job.id)
        assert (waiting.attempt, waiting.failures) == (0, 0)
        new = configure(database_url, handlers=[Greets]).add_service(Greeting, Greeting("Hi")).add_worker()
        async with new.build() as knows:
            assert (await knows.scheduler.wait_async(job.id, 20)).result == "Hi x"


def test_the_engine_log_is_json_lines(sqlite_url: str, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    with configure(sqlite_url).add_worker().debug_jsonl_file_logger(logs).build() as cluster:
        cluster.scheduler.wait(cluster.scheduler.once_now(Hello, {"name": "x"}).id, 10)
        cluster.set_mode("passive")
    lines = [json.loads(line) for line in (logs / "api.jsonl").read_text().splitlines()]
    assert lines
    assert {"at", "level", "logger", "message"} <= lines[0].keys()


def test_a_forked_child_enqueues_on_connections_of_its_own(database_url: str) -> None:
    cluster = configure(database_url).build()
    cluster.scheduler.once_now("parent")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            job = cluster.scheduler.once_now("child")
            os.write(writer, str(job.id).encode())
        finally:
            os._exit(0)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader) as answer:
        made = answer.read()
    assert status == 0
    cluster.scheduler.once_now("parent")
    assert {str(job.id) for job in cluster.scheduler.find_jobs(definition_id="child")} == {made}
    assert cluster.scheduler.count_jobs() == 3
    cluster.close()


def test_many_threads_enqueue_at_once(database_url: str) -> None:
    cluster = configure(database_url).build()
    ids: list[object] = []

    def produce() -> None:
        ids.extend(cluster.scheduler.once_now("x", {"n": n}).id for n in range(25))

    threads = [threading.Thread(target=produce) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 400
    assert cluster.scheduler.count_jobs() == 400
    cluster.close()


def test_an_unreachable_database_is_a_clear_error() -> None:
    from jobmaster import TransientStoreError, TransportUnavailable

    config = ClusterConfig("api").use_postgres("postgresql://me:secret@127.0.0.1:9/none")
    cluster = config.operation_timeout(0.3).startup_timeout(0.3).add_handlers(Hello).add_worker().build()
    with pytest.raises(TransportUnavailable) as enqueue:
        cluster.scheduler.once_now(Hello, {"name": "x"})
    with pytest.raises(TransientStoreError) as start:
        cluster.start()
    for caught in (enqueue, start):
        assert "127.0.0.1:9" in str(caught.value)
        assert "secret" not in str(caught.value)
    cluster.close()


async def test_jobs_are_counted_once_while_they_end(database_url: str) -> None:
    cluster = configure(database_url).add_worker(concurrency=5, batch_size=5).build()
    s = cluster.scheduler
    await s.once_many_async([JobRequest(Hello, {"name": str(n)}) for n in range(400)])
    async with cluster:
        counts = set()
        async with asyncio.timeout(60):
            while await s.count_jobs_async(status=JobStatus.SUCCEEDED) < 400:
                counts.add(await s.count_jobs_async())
    assert counts <= {400}
