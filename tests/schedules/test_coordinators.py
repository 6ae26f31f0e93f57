"""Several coordinators plan the same schedules: no occurrence twice, none lost, no drift."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack
from datetime import timedelta

import pytest

from jobmaster import Cluster, ClusterConfig, JobStatus
from tests.cluster.conftest import Site
from tests.schedules.beats import Beat, beats


def deploy(stack: ExitStack, place: Site, processes: int) -> list[Cluster]:
    """So many clusters, each with a worker that also coordinates."""
    made = []
    for number in range(processes):
        config: ClusterConfig = place.config("beats").add_handlers(Beat)
        if place.agents:
            config = config.transient_threshold(10)
        cluster = config.add_worker(next(iter(place.agents), None), name=f"w{number}").build()
        made.append(stack.enter_context(cluster))
    return made


@pytest.mark.parametrize(
    ("every", "seconds", "runs", "tolerance"),
    [
        (1, 6, 6, 1),
        pytest.param(5, 60, 12, 1, marks=pytest.mark.long),
        pytest.param(10, 120, 12, 1, marks=[pytest.mark.long, pytest.mark.timeout(200)]),
        pytest.param(60, 300, 5, 1, marks=[pytest.mark.long, pytest.mark.timeout(400)]),
    ],
)
def test_three_coordinators_make_every_occurrence_once(
    place: Site, every: int, seconds: int, runs: int, tolerance: int
) -> None:
    beats.clear()
    with ExitStack() as stack:
        clusters = deploy(stack, place, 3)
        s = clusters[0].scheduler
        begun = time.monotonic()
        s.recurring(Beat, f"every {every} seconds", id="natural", overlap="allow")
        s.recurring(Beat, timedelta(seconds=every), id="interval", overlap="allow")
        time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
        for name in ("natural", "interval"):
            assert s.pause_recurring(name)
        end = time.monotonic() + 20
        while s.count_jobs(status=[x for x in JobStatus if not x.is_final]) and time.monotonic() < end:
            time.sleep(0.05)
        for name in ("natural", "interval"):
            occurrences = beats.of(name)
            assert abs(len(occurrences) - runs) <= tolerance, occurrences
            assert beats.doubled(name) == []
            between = {b - a for a, b in itertools.pairwise(occurrences)}
            assert between == {timedelta(seconds=every)}
            # the starts of a short run on a busy machine may be a few milliseconds off at both ends
            allowed = max(0.01 * every, 0.5 / len(occurrences))
            assert abs(beats.mean_interval(name) - every) <= allowed
            jobs = s.find_jobs(schedule_id=name, limit=1000).items
            assert len(jobs) == len(occurrences)
            assert {job.status for job in jobs} == {JobStatus.SUCCEEDED}


def test_a_schedule_made_elsewhere_is_planned_in_time(place: Site) -> None:
    """By a process that plans nothing itself."""
    beats.clear()
    with ExitStack() as stack:
        (cluster,) = deploy(stack, place, 1)
        producer = place.config("beats").add_handlers(Beat).build()
        stack.callback(producer.close)
        time.sleep(0.5)
        producer.scheduler.recurring(Beat, timedelta(seconds=4), id="far")
        end = time.monotonic() + 15
        while not beats.of("far") and time.monotonic() < end:
            time.sleep(0.02)
        assert len(beats.of("far")) == 1
        assert beats.latest("far") < 2.0
        assert cluster.scheduler.cancel_recurring("far")
