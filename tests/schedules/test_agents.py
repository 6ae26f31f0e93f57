"""Schedules of a cluster with agents: occurrences are held on the master, and placed at once."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from jobmaster import ClusterConfig, JobContext, JobHandler, JobStatus, TransportUnavailable
from jobmaster.cluster.directory import JobDirectory
from tests.cluster.conftest import Site

began: list[object] = []


class Long(JobHandler, definition_id="long", max_retries=0):
    async def handle(self, job: JobContext) -> None:
        began.append(job.occurrence_at)
        await asyncio.sleep(2.6)


class InChild(JobHandler, definition_id="in-child", execution="process"):
    def handle(self, job: JobContext) -> list[object]:
        occurrence = None if job.occurrence_at is None else job.occurrence_at.isoformat()
        return [job.schedule_id, occurrence, job.is_catchup, job.missed_count]


def config(site: Site) -> ClusterConfig:
    return site.config("agents").transient_threshold(10).add_handlers(Long, InChild)


def until(reached: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.sqlite),
        pytest.param("postgres", marks=pytest.mark.postgres),
    ]
)
def site(request: pytest.FixtureRequest, make_url: Callable[[str], str]) -> Site:
    """A master and an agent."""
    return Site(make_url(request.param), {"north": make_url(request.param)})


def test_a_run_on_an_agent_is_live_until_the_master_knows_its_end(site: Site) -> None:
    began.clear()
    cluster = config(site).add_worker("north").build()
    with cluster:
        s = cluster.scheduler
        s.recurring(Long, "every 1 second", id="l")
        until(lambda: len(began) >= 2)
        s.pause_recurring("l")
        first, second = began[0], began[1]
        assert second - first >= timedelta(seconds=3)  # type: ignore[operator]
        assert s.get_schedule("l").skipped >= 2
        until(lambda: s.count_jobs(status=[x for x in JobStatus if not x.is_final]) == 0)


def test_runs_wait_for_each_other_across_stores(site: Site) -> None:
    began.clear()
    cluster = config(site).add_worker("north").build()
    with cluster:
        s = cluster.scheduler
        s.recurring(Long, "every 1 second", id="l", overlap="buffer_one")
        until(lambda: len(began) >= 3)
        s.cancel_recurring("l")
        gaps = [b - a for a, b in itertools.pairwise(began)]  # type: ignore[operator]
        assert all(gap >= timedelta(seconds=1) for gap in gaps)
        until(lambda: s.count_jobs(status=[x for x in JobStatus if not x.is_final]) == 0)
        assert {job.status for job in s.find_jobs(schedule_id="l").items} == {JobStatus.SUCCEEDED}


def test_cancelling_reaches_what_waits_on_an_agent(site: Site) -> None:
    """The worker is busy for a while, and holds no more than it can run."""
    began.clear()
    cluster = config(site).add_worker("north", concurrency=1, batch_size=1).build()
    live = [status for status in JobStatus if not status.is_final]
    with cluster:
        s = cluster.scheduler
        for _ in range(3):
            s.once_now(Long)
        until(lambda: bool(began))
        s.recurring(Long, "every 1 second", id="c")
        until(lambda: s.count_jobs(schedule_id="c", status=JobStatus.READY) == 1)
        assert s.cancel_recurring("c")
        assert s.count_jobs(schedule_id="c", status=live) == 0
        assert {job.status for job in s.find_jobs(schedule_id="c").items} <= {JobStatus.CANCELLED}
        until(lambda: s.count_jobs(status=live) == 0)
        assert len(began) == 3


def test_a_child_process_knows_its_occurrence(site: Site) -> None:
    cluster = config(site).add_worker("north").build()
    with cluster:
        s = cluster.scheduler
        made = s.recurring(InChild, "every 1 second", id="p")
        until(lambda: len(s.find_jobs(schedule_id="p", status=JobStatus.SUCCEEDED)) >= 1)
        s.cancel_recurring("p")
        job = s.find_jobs(schedule_id="p", status=JobStatus.SUCCEEDED).items[-1]
        assert made.next_run_at is not None
        assert job.result == ["p", made.next_run_at.isoformat(), False, 0]
        until(lambda: s.count_jobs(status=[x for x in JobStatus if not x.is_final]) == 0)


class Endless(JobHandler, definition_id="endless", max_retries=0, timeout=timedelta(minutes=5)):
    async def handle(self, job: JobContext) -> None:
        began.append(job.occurrence_at)
        await asyncio.Event().wait()


def test_an_agent_that_could_not_be_asked_is_asked_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as an occurrence waits for the live run, although none is due any more."""
    began.clear()
    refused: list[UUID] = []
    ends: list[datetime] = []
    cancel = JobDirectory.cancel

    def away(directory: JobDirectory, job_id: UUID) -> bool:
        if datetime.now(UTC) < ends[0]:
            refused.append(job_id)
            raise TransportUnavailable("agent 'north' does not answer")
        return cancel(directory, job_id)

    monkeypatch.setattr(JobDirectory, "cancel", away)
    cluster = config(site).add_handlers(Endless).grace_period(0).add_worker("north").build()
    with cluster:
        s = cluster.scheduler
        # from here on, since a start may take seconds
        ends.append(datetime.now(UTC) + timedelta(seconds=8))
        s.recurring(Endless, "every 1 second", id="e", overlap="cancel_other", end_before=ends[0])
        until(lambda: bool(refused))
        until(lambda: s.get_job(refused[0]).status is JobStatus.CANCELLED)
        until(lambda: len(began) == 2)
        assert began[1] > began[0]  # type: ignore[operator]
        assert s.get_schedule("e").next_run_at is None
