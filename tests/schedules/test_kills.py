"""A planner dies, or its connection breaks, at each point around its commit: nothing is lost or doubled."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from jobmaster import Cluster, JobStatus
from tests.cluster.conftest import Site
from tests.harness.checker import observer_of
from tests.harness.faults import Breaks, build, lost_connection
from tests.harness.processes import Workers
from tests.schedules.beats import Beat, beats

POINTS = ["plan.jobs_written", "plan.before_commit", "plan.after_commit"]
STEP = timedelta(seconds=1)


def occurrences(cluster: Cluster, schedule_id: str) -> list[datetime]:
    """The instants of all jobs of a schedule, sorted: they have no jitter here."""
    return sorted(
        job.scheduled_at for job in cluster.scheduler.find_jobs(schedule_id=schedule_id, limit=1000)
    )


def until(reached: object, seconds: float) -> None:
    assert callable(reached)
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


def ended(cluster: Cluster) -> bool:
    return cluster.scheduler.count_jobs(status=[s for s in JobStatus if not s.is_final]) == 0


def crew(place: Site) -> Sequence[str]:
    return ["north::full"] if place.agents else ["::full"]


@pytest.mark.parametrize("point", POINTS)
def test_a_planner_that_dies_around_its_commit_loses_and_doubles_nothing(
    place: Site, point: str, tmp_path: Path
) -> None:
    with (
        observer_of(place.master, place.agents, 10) as observer,
        Workers(place.master, tmp_path, place.agents, lease=1, threshold=10) as workers,
    ):
        s = observer.scheduler
        doomed = workers.start_doomed(f"{point}:2", crew(place))
        made = s.recurring(
            "numbered", "every 1 second", {"number": 1}, id="beat", overlap="allow", misfire="fire_all"
        )
        assert doomed.wait(30) == -signal.SIGKILL
        workers.start(2, crew(place))
        until(lambda: len(occurrences(observer, "beat")) >= 6, 30)
        assert s.pause_recurring("beat")
        until(lambda: ended(observer), 30)
        found = occurrences(observer, "beat")
        assert made.next_run_at is not None
        assert found[0] == made.next_run_at
        assert {b - a for a, b in pairwise(found)} == {STEP}
        jobs = s.find_jobs(schedule_id="beat", limit=1000).items
        assert {job.status for job in jobs} == {JobStatus.SUCCEEDED}
        assert len({job.id for job in jobs}) == len(jobs)


def test_a_planner_that_dies_before_it_asks_a_run_to_stop_leaves_that_to_another(
    lone: Site, tmp_path: Path
) -> None:
    """With ``cancel_other`` it commits who makes way for whom, and asks afterwards."""
    with (
        observer_of(lone.master, lone.agents, 10) as observer,
        Workers(lone.master, tmp_path, lone.agents, lease=2, threshold=10) as workers,
    ):
        s = observer.scheduler
        workers.start(1, ["::execution"])
        doomed = workers.start_doomed("plan.after_commit:2", ["::coordinator"])
        until(lambda: sum(worker.alive for worker in observer.workers()) == 2, 30)
        # the first run has to have begun before the second is due
        made = s.recurring(
            "numbered", "every 4 seconds", {"number": 1, "seconds": 30}, id="beat", overlap="cancel_other"
        )
        assert doomed.wait(30) == -signal.SIGKILL
        before, after = sorted(s.find_jobs(schedule_id="beat"), key=lambda job: job.occurrence_at)
        assert before.status is not JobStatus.CANCELLED
        assert (after.status, after.attempt) == (JobStatus.READY, 0)
        workers.start(2, ["::coordinator"])
        until(lambda: s.get_job(before.id).status is JobStatus.CANCELLED, 30)
        until(lambda: s.count_jobs(schedule_id="beat", status="cancelled") >= 2, 30)
        assert s.pause_recurring("beat")
        found = s.find_jobs(schedule_id="beat", limit=1000).items
        schedule = s.get_schedule("beat")
        assert schedule.created_at < made.next_run_at <= schedule.created_at + 4 * STEP
        assert schedule.missed == 0
        # every instant has a job, or is counted as one that gave way before it began
        assert len({job.occurrence_at for job in found}) == len(found)
        assert len(found) + schedule.skipped == (schedule.last_run_at - made.next_run_at) // (4 * STEP) + 1
        for job in found:
            s.cancel_job(job.id)
        until(lambda: ended(observer), 30)


@pytest.mark.parametrize("point", POINTS)
def test_a_lost_answer_to_a_planner_changes_nothing(place: Site, point: str) -> None:
    """Also of the commit itself, which has taken effect or not."""
    beats.clear()
    breaks = Breaks(lost_connection(place.master))
    config = place.config("beats").add_handlers(Beat).add_worker(next(iter(place.agents), None))
    cluster = build(config, breaks)
    s = cluster.scheduler
    with cluster:
        made = s.recurring(Beat, "every 1 second", id="beat", overlap="allow")
        until(lambda: len(beats.of("beat")) >= 1, 20)
        breaks.arm(point)
        until(lambda: breaks.broke == [point], 20)
        seen = len(beats.of("beat"))
        until(lambda: len(beats.of("beat")) >= seen + 3, 30)
        assert s.pause_recurring("beat")
        until(lambda: ended(cluster), 20)
        found = beats.of("beat")
        assert found[0] == made.next_run_at
        assert {b - a for a, b in pairwise(found)} == {STEP}


@pytest.mark.parametrize("point", ["schedule_change.jobs_written", "schedule_change.after_commit"])
def test_a_lost_answer_to_a_call_changes_nothing(lone: Site, point: str) -> None:
    """The call is repeated, and decides nothing new."""
    breaks = Breaks(lost_connection(lone.master))
    cluster = build(lone.config("calls").add_handlers(Beat), breaks)
    s = cluster.scheduler
    try:
        breaks.arm(point)
        made = s.recurring(Beat, "@hourly", id="c")
        assert (made.version, s.get_schedule("c")) == (1, made)
        breaks.arm(point)
        job = s.run_now("c")
        assert [found.id for found in s.find_jobs(schedule_id="c")] == [job.id]
        breaks.arm(point)
        assert s.pause_recurring("c")
        breaks.arm(point)
        assert s.cancel_recurring("c")
        assert len(breaks.broke) == 4
        assert s.find_schedules().items == ()
    finally:
        cluster.close()
