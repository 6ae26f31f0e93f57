"""A list of the whole cluster meets every job, also one that moves between two of its looks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from jobmaster.cluster.backend import Backend
from jobmaster.cluster.locator import Locator
from jobmaster.domain.ids import uuid7
from jobmaster.domain.job import Job, JobFilter
from jobmaster.domain.status import JobStatus, Priority

AGENT, NOW = uuid7(), datetime(2026, 5, 1, tzinfo=UTC)


class Place:
    """A store of jobs, and what happens right after it was looked at."""

    def __init__(self, *jobs: Job) -> None:
        self.jobs = {job.id: job for job in jobs}
        self.then: Callable[[], None] = lambda: None

    def find_jobs(
        self, criteria: JobFilter, limit: int, after: UUID | None, without: Collection[UUID] = ()
    ) -> list[Job]:
        found = [job for job in self.jobs.values() if not criteria.status or job.status in criteria.status]
        self.then()
        return sorted(found, key=lambda job: job.id, reverse=True)[:limit]


def _job(status: JobStatus) -> Job:
    return Job(
        id=uuid7(),
        definition_id="any",
        data={},
        metadata={},
        status=status,
        lane="default",
        priority=Priority.MEDIUM,
        scheduled_at=NOW,
        enqueued_at=NOW,
    )


def _locator(master: Place, agent: Place) -> Locator:
    transport = SimpleNamespace(key=SimpleNamespace(store_id=AGENT))
    here = SimpleNamespace(name="hot", reader=agent, transport=transport)
    backend: Any = SimpleNamespace(distributed=True, master=master, reachable=lambda: [here])
    return Locator(cast(Backend, backend), logging.getLogger("locator"))


@pytest.mark.parametrize("inward", [True, False], ids=["to the agent", "to the master"])
def test_a_job_that_moves_between_the_looks_is_listed_once(inward: bool) -> None:
    job = _job(JobStatus.HELD_ON_MASTER if inward else JobStatus.READY)
    master, agent = Place(*[job] * inward), Place(*[job] * (not inward))
    source, target = (master, agent) if inward else (agent, master)

    def move() -> None:
        target.jobs |= source.jobs
        source.jobs.clear()

    # after the agent was looked at it comes there, or leaves
    agent.then = move
    assert [found.id for found in _locator(master, agent).find(JobFilter(), 10, None)] == [job.id]


def test_the_end_of_a_job_is_what_a_list_shows() -> None:
    waiting = _job(JobStatus.READY)
    ended = replace(waiting, status=JobStatus.SUCCEEDED)
    master, agent = Place(), Place(waiting)
    agent.then = lambda: master.jobs.update({ended.id: ended})
    (found,) = _locator(master, agent).find(JobFilter(), 10, None)
    assert found.status is JobStatus.SUCCEEDED
