"""Each window between two writes: what happens when the process dies, or the answer is lost, just there."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jobmaster import Cluster, JobContext, JobHandler, JobRequest, JobStatus, Retry, TransportUnavailable
from tests.api.conftest import configure
from tests.harness.checker import observer_of, reruns, until_all_ended, verify
from tests.harness.faults import Breaks, build, lost_connection
from tests.harness.processes import Workers
from tests.harness.record import read_record

runs: list[tuple[int, int]] = []


class Counted(JobHandler, definition_id="counted"):
    async def handle(self, job: JobContext) -> int:
        runs.append((job.data.get_int("n"), job.attempt))
        return job.attempt


class FailsOnce(JobHandler, definition_id="fails-once", retry=Retry.fixed(0.01)):
    async def handle(self, job: JobContext) -> int:
        runs.append((job.data.get_int("n"), job.attempt))
        if job.attempt == 1:
            raise ValueError("once")
        return job.attempt


@pytest.fixture
def breaks(database_url: str) -> Breaks:
    runs.clear()
    return Breaks(lost_connection(database_url))


@pytest.fixture
async def cluster(database_url: str, breaks: Breaks) -> AsyncIterator[Cluster]:
    built = build(configure(database_url, handlers=[Counted, FailsOnce]).add_worker(), breaks)
    async with built:
        yield built


@pytest.mark.parametrize("point", ["enqueue.before_commit", "enqueue.after_commit"])
async def test_an_enqueue_whose_answer_is_lost_makes_one_job(
    cluster: Cluster, breaks: Breaks, point: str
) -> None:
    breaks.arm(point)
    s = cluster.scheduler
    job = await s.once_now_async(Counted, {"n": 1})
    assert breaks.broke == [point]
    finished = await s.wait_async(job.id, 10)
    assert (finished.status, finished.attempt) == (JobStatus.SUCCEEDED, 1)
    # a second copy would be claimed by now
    probe = await s.once_now_async(Counted, {"n": 2})
    await s.wait_async(probe.id, 10)
    assert runs == [(1, 1), (2, 1)]
    assert await s.count_jobs_async() == 2


@pytest.mark.parametrize("point", ["enqueue_keyed.before_commit", "enqueue_keyed.after_commit"])
async def test_a_keyed_enqueue_whose_answer_is_lost_makes_one_job(
    cluster: Cluster, breaks: Breaks, point: str
) -> None:
    breaks.arm(point)
    s = cluster.scheduler
    job = await s.once_after_async(Counted, 60, {"n": 1}, unique_key="k", on_conflict="raise")
    assert breaks.broke == [point]
    assert [found.id for found in await s.find_jobs_async()] == [job.id]


@pytest.mark.parametrize("handler", [Counted, FailsOnce])
@pytest.mark.parametrize(
    "point", ["settle.before_commit", "settle.written", "settle.after_commit", "writes.between"]
)
async def test_a_settle_whose_answer_is_lost_runs_nothing_again(
    cluster: Cluster, database_url: str, breaks: Breaks, point: str, handler: Any
) -> None:
    """Also the claim that rides along: it is read back, and run once."""
    s = cluster.scheduler
    if point == "writes.between" and handler is Counted:
        pytest.skip("a plain success writes no attempt")
    if point == "settle.written" and handler is Counted and database_url.startswith("postgresql"):
        pytest.skip("on PostgreSQL plain successes and their COMMIT go in one trip")
    await s.wait_async((await s.once_now_async(Counted, {"n": 0})).id, 10)
    breaks.arm(point)
    jobs = await s.once_many_async([JobRequest(handler, {"n": n}) for n in range(1, 31)])
    done = [await s.wait_async(job.id, 20) for job in jobs]
    assert breaks.broke == [point]
    expected = 1 if handler is Counted else 2
    assert {(job.status, job.attempt, job.losses) for job in done} == {(JobStatus.SUCCEEDED, expected, 0)}
    assert len(runs) == len(set(runs)) == 1 + 30 * expected


async def test_an_enqueue_that_never_gets_through_says_so(database_url: str, breaks: Breaks) -> None:
    cluster = build(configure(database_url).operation_timeout(0.3), breaks)

    def always(name: str) -> None:
        if name == "enqueue.before_commit":
            raise breaks.make_error()

    cluster.scheduler.count_jobs()
    breaks.reach = always  # type: ignore[method-assign]
    with pytest.raises(TransportUnavailable) as caught:
        await cluster.scheduler.once_now_async("x")
    assert len(caught.value.job_ids) == 1
    assert cluster.scheduler.count_jobs() == 0
    await cluster.close_async()


@pytest.mark.parametrize(
    "point",
    [
        "settle.before_commit:5",
        "settle.written:1",
        "settle.after_commit:5",
        "open_buckets.before_commit:1",
        "open_buckets.after_commit:1",
        "renew.before_commit:1",
        "renew.after_commit:1",
        "mark.before_commit:1",
        "mark.after_commit:1",
        "writes.between:1",
        "complete_buckets.after_commit:1",
        "close_buckets.before_commit:1",
        "close_buckets.after_commit:1",
    ],
)
@pytest.mark.timeout(90)
def test_a_worker_that_dies_at_any_write_loses_nothing(database_url: str, tmp_path: Path, point: str) -> None:
    jobs = 120
    cluster = observer_of(database_url)
    try:
        cluster.scheduler.once_many(
            [JobRequest("numbered", {"number": n, "seconds": 0.02}) for n in range(jobs - 2)]
            + [
                JobRequest("numbered", {"number": jobs - 2, "seconds": 2.5}),
                JobRequest("numbered-failing", {"number": jobs - 1}),
            ]
        )
        with Workers(database_url, tmp_path, lease=1, concurrency=10) as workers:
            doomed = workers.start_doomed(point)
            if "close" in point or "complete" in point:
                end = time.monotonic() + 30
                while not workers.has_begun() and time.monotonic() < end:
                    time.sleep(0.02)
                doomed.terminate()
            assert doomed.wait(40) == -9, f"it did not die at {point}"
            workers.start(1)
            until_all_ended(cluster, jobs, 60)
            marks = verify(cluster, workers.record, jobs)
            assert reruns(marks) <= 61 + 1
            if point.startswith("settle.after"):
                # what was settled before it died is not run again
                ended = {number for number, lines in read_record(workers.record).items() if lines}
                assert ended == set(range(jobs))
        assert all(job.losses <= 1 for job in cluster.scheduler.find_jobs(limit=1000))
    finally:
        cluster.close()


@pytest.mark.parametrize(
    "point", ["rescue.before_commit:1", "expire.after_commit:1", "rescue.after_commit:1"]
)
@pytest.mark.timeout(90)
def test_a_rescuer_that_dies_in_mid_rescue_is_relieved_by_the_next(
    database_url: str, tmp_path: Path, point: str
) -> None:
    jobs = 40
    cluster = observer_of(database_url)
    try:
        requests = [JobRequest("numbered", {"number": n, "seconds": 0.3}) for n in range(jobs)]
        cluster.scheduler.once_many(requests)
        with Workers(database_url, tmp_path, lease=1, concurrency=10) as workers:
            (first,) = workers.start(1)
            end = time.monotonic() + 30
            while not workers.has_begun() and time.monotonic() < end:
                time.sleep(0.02)
            first.kill()
            assert workers.start_doomed(point).wait(40) == -9
            workers.start(1)
            until_all_ended(cluster, jobs, 60)
            verify(cluster, workers.record, jobs)
        # the second death is charged only to what had begun to run there
        assert max(job.losses for job in cluster.scheduler.find_jobs(limit=1000)) <= 2
    finally:
        cluster.close()
