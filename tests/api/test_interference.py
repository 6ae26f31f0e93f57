"""Calls that come at the worst moment: cancelling just as a job starts, stopping in the middle of a start."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from jobmaster import AttemptOutcome, Cluster, Event, JobContext, JobHandler, JobStatus
from jobmaster.agents.same_database import SameDatabaseSettlement
from jobmaster.cluster.runtime import Runtime
from jobmaster.domain.events import JobStarted
from jobmaster.domain.verdict import StateChange
from jobmaster.ports import ClaimRequest, Settled
from tests.api.conftest import configure
from tests.api.handlers import Hello, Naps

ran: list[int] = []


class Slow(JobHandler, definition_id="slow", max_retries=0):
    async def handle(self, job: JobContext) -> None:
        ran.append(job.data.get_int("n"))
        await asyncio.sleep(job.data.get_float("seconds"))


class BlocksTheLoop(JobHandler, definition_id="blocks-the-loop", timeout=0.3, max_retries=0):
    async def handle(self, job: JobContext) -> None:
        ran.append(1)
        time.sleep(job.data.get_float("seconds"))  # noqa: ASYNC251 - that is what it is for


@pytest.mark.parametrize("reason", ["cancelled", "timeout", "interrupted"])
async def test_a_run_that_is_stopped_before_its_first_step_is_no_run(database_url: str, reason: str) -> None:
    """Task cancellation before the first step would never reach the handler's task."""
    ran.clear()
    cluster = configure(database_url, handlers=[Slow]).add_worker(concurrency=1).build()
    async with cluster:
        assert cluster._runtime is not None
        dispatcher = cluster._runtime.workers[0].dispatcher
        launch = dispatcher.launch
        stopped: list[object] = []

        def launch_and_stop(active: object) -> None:
            launch(active)  # type: ignore[arg-type]
            if not stopped:
                stopped.append(active)
                dispatcher.stop_run(active, reason)  # type: ignore[arg-type]

        dispatcher.launch = launch_and_stop  # type: ignore[method-assign]
        s = cluster.scheduler
        first = await s.once_now_async(Slow, {"n": 1, "seconds": 0})
        second = await s.once_now_async(Slow, {"n": 2, "seconds": 0})
        done = [await s.wait_async(job.id, 10) for job in (first, second)]
    if reason == "cancelled":
        assert (done[0].status, done[0].attempt) == (JobStatus.CANCELLED, 0)
        assert ran == [2]
    else:
        assert (done[0].status, done[0].attempt, done[0].failures) == (JobStatus.SUCCEEDED, 1, 0)
        assert sorted(ran) == [1, 2]
    assert done[1].status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_jobs_that_wait_in_the_workers_buffer_can_be_cancelled(
    database_url: str, elsewhere: bool
) -> None:
    """They are claimed but have not started; the request may come from another process."""
    ran.clear()
    cluster = configure(database_url, handlers=[Slow]).add_worker(concurrency=1).build()
    other = configure(database_url, handlers=[]).build()
    async with cluster:
        s = other.scheduler if elsewhere else cluster.scheduler
        jobs = [await s.once_now_async("slow", {"n": n, "seconds": 2.5}) for n in range(4)]
        async with asyncio.timeout(10):
            while not ran:
                await asyncio.sleep(0.02)
        for job in jobs[1:]:
            assert await s.cancel_job_async(job.id)
        done = [await cluster.scheduler.wait_async(job.id, 20) for job in jobs]
    await other.close_async()
    assert [job.status for job in done] == [JobStatus.SUCCEEDED] + [JobStatus.CANCELLED] * 3
    assert ran == [0]


async def test_a_blocked_loop_times_out_once_instead_of_being_lost_again_and_again(database_url: str) -> None:
    ran.clear()
    cluster = configure(database_url, handlers=[BlocksTheLoop]).lease(2).build()
    worker = configure(database_url, handlers=[BlocksTheLoop]).lease(2).add_worker().build()
    job = await cluster.scheduler.once_now_async(BlocksTheLoop, {"seconds": 4})
    await asyncio.to_thread(worker.start)
    done = await cluster.scheduler.wait_async(job.id, 20)
    await asyncio.to_thread(worker.stop)
    assert (done.status, done.failures, done.losses) == (JobStatus.FAILED, 1, 0)
    assert str(done.error) == "timed out after 0.3 s"
    assert [a.outcome for a in await cluster.scheduler.attempts_async(job.id)] == [AttemptOutcome.TIMED_OUT]
    assert ran == [1]
    await cluster.close_async()


async def test_a_stop_in_the_middle_of_a_start_leaves_nothing_running(database_url: str) -> None:
    cluster = configure(database_url).add_worker().build()
    for pause in (0.0, 0.001, 0.01, 0.05):
        starting = asyncio.ensure_future(cluster.start_async())
        await asyncio.sleep(pause)
        await cluster.stop_async()
        result = (await asyncio.gather(starting, return_exceptions=True))[0]
        assert result is None or "stopped while it started" in str(result)
        assert not cluster.is_running
    job = await cluster.scheduler.once_now_async(Hello, {"name": "x"})
    await asyncio.sleep(0.2)
    assert (await cluster.scheduler.get_job_async(job.id)).status is JobStatus.READY
    async with cluster:
        await cluster.scheduler.wait_async(job.id, 10)
    assert cluster.buckets() == []
    await cluster.close_async()


@pytest.mark.parametrize("how", ["in its last step", "just after its end"])
async def test_a_start_cancelled_at_its_very_end_leaves_nothing_running(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    cluster = configure(sqlite_url).add_worker().build()
    begin = Runtime.start

    async def begin_and_be_cancelled(runtime: Runtime) -> None:
        await begin(runtime)
        if how == "in its last step":
            starting.cancel()
        else:
            asyncio.get_running_loop().call_soon(starting.cancel)

    monkeypatch.setattr(Runtime, "start", begin_and_be_cancelled)
    starting = asyncio.ensure_future(cluster.start_async())
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not cluster.is_running
    assert cluster.buckets() == []
    assert cluster.workers() == []
    await cluster.close_async()


def test_a_stop_from_another_thread_waits_for_the_start(database_url: str) -> None:
    cluster = configure(database_url).add_worker().build()
    starter = threading.Thread(target=cluster.start)
    starter.start()
    while cluster._thread is None:
        time.sleep(0.0001)
    cluster.stop()
    starter.join()
    assert not cluster.is_running
    assert cluster.buckets() == []
    cluster.close()


class Ear:
    """Hears when a job has begun to run."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    def on_event(self, event: Event) -> None:
        if isinstance(event, JobStarted):
            self.begun.set()


async def test_an_impatient_caller_does_not_break_the_stop(database_url: str) -> None:
    ear = Ear()
    cluster = configure(database_url).grace_period(1.5).add_observer(ear).add_worker().build()
    await cluster.start_async()
    job = await cluster.scheduler.once_now_async(Naps, {"seconds": 60})
    async with asyncio.timeout(10):
        await ear.begun.wait()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(cluster.stop_async(), 0.1)
    await asyncio.gather(cluster.stop_async(), cluster.stop_async())
    assert not cluster.is_running
    assert cluster.buckets() == []
    assert (await cluster.scheduler.get_job_async(job.id)).status is JobStatus.READY
    await cluster.close_async()


async def test_a_stop_hands_nothing_back_whose_outcome_is_being_stored(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store takes longer than the stop waits for it."""
    storing, stored = threading.Event(), threading.Event()
    settle = SameDatabaseSettlement.settle

    def slow(
        settlement: SameDatabaseSettlement, changes: Sequence[StateChange], claim: ClaimRequest | None
    ) -> Settled:
        if changes:
            storing.set()
            stored.wait(10)
        return settle(settlement, changes, claim)

    monkeypatch.setattr(SameDatabaseSettlement, "settle", slow)
    cluster = configure(database_url).lease(3).grace_period(0.2).add_worker().build()
    await cluster.start_async()
    job = await cluster.scheduler.once_now_async(Hello, {"name": "x"})
    assert await asyncio.to_thread(storing.wait, 10)
    threading.Timer(1.8, stored.set).start()
    await cluster.stop_async()
    assert stored.is_set()
    found = await cluster.scheduler.get_job_async(job.id)
    assert (found.status, found.attempt) == (JobStatus.SUCCEEDED, 1)
    await cluster.close_async()


PROGRAM = """
import sys, time
from jobmaster import ClusterConfig, JobHandler

class Endless(JobHandler, definition_id="endless"):
    def handle(self, job):
        print("begun", flush=True)
        while True:
            time.sleep(60)

config = ClusterConfig("api").use_standalone().use_sqlite(sys.argv[1]).lease(2).grace_period(0.5).add_worker()
cluster = config.build()
cluster.scheduler.once_now(Endless)
cluster.run()
"""


def test_a_thread_that_never_ends_does_not_keep_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, f"sqlite:///{tmp_path / 'x.db'}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=12) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


async def test_a_cancelled_job_is_never_stuck(cluster: Cluster) -> None:
    """Cancelling at random moments around claim and start: every job ends, and every slot comes back."""
    s = cluster.scheduler
    jobs = []
    for round_ in range(60):
        batch = [await s.once_now_async(Naps, {"seconds": 0.001}) for _ in range(4)]
        if round_ % 3:
            await asyncio.sleep(0.001 * (round_ % 5))
        await asyncio.gather(*(s.cancel_job_async(job.id) for job in batch[::2]))
        jobs += batch
    done = [await s.wait_async(job.id, 20) for job in jobs]
    assert {job.status for job in done} <= {JobStatus.SUCCEEDED, JobStatus.CANCELLED}
    assert cluster._runtime is not None
    dispatcher = cluster._runtime.workers[0].dispatcher
    assert dispatcher.running == {}
    assert dispatcher.held_jobs == 0
    assert dispatcher.room >= cluster._runtime.workers[0].options.buffer
