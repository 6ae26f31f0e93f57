"""Checks that every accepted job ended once, from the handlers' record and the master alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from jobmaster import Cluster, ClusterConfig, JobStatus
from tests.harness.record import Mark, read_record
from tests.kinds import use

__all__ = ["observer_of", "overlaps", "reruns", "until_all_ended", "verify"]


def observer_of(url: str, agents: Mapping[str, str] | None = None, threshold: float = 600.0) -> Cluster:
    """A cluster without workers: enqueues and looks. With ``agents``, ``url`` is its master."""
    config = use(ClusterConfig("harness").add_handlers(), url, agents)
    return (config.transient_threshold(threshold) if agents else config).build()


def until_all_ended(cluster: Cluster, jobs: int, seconds: float) -> None:
    """Wait until that many jobs have ended; raises ``AssertionError`` when they do not in time."""
    end = time.monotonic() + seconds
    live = [status for status in JobStatus if not status.is_final]
    while True:
        left = cluster.scheduler.count_jobs(status=live)
        if left == 0:
            break
        assert time.monotonic() < end, f"{left} of {jobs} jobs have not ended after {seconds} s"
        time.sleep(0.05)
    ended = cluster.scheduler.count_jobs()
    assert ended == jobs, f"{jobs} jobs were accepted and {ended} are known"


def verify(cluster: Cluster, record: Path, jobs: int) -> dict[int, list[Mark]]:
    """Every job of 0 … ``jobs`` - 1 ran to its end and succeeded, and nothing is left claimed."""
    marks = read_record(record)
    never = [number for number in range(jobs) if not any(m.what == "end" for m in marks.get(number, ()))]
    assert not never, f"{len(never)} jobs never ran to their end, such as {never[:5]}"
    succeeded = cluster.scheduler.count_jobs(status=JobStatus.SUCCEEDED)
    assert succeeded == jobs, f"{succeeded} of {jobs} jobs succeeded"
    return marks


def reruns(marks: dict[int, list[Mark]]) -> int:
    """How many runs were started beyond one per job."""
    return sum(sum(1 for mark in lines if mark.what == "start") - 1 for lines in marks.values())


def overlaps(marks: dict[int, list[Mark]]) -> list[tuple[Mark, Mark]]:
    """Pairs of runs of one job of which the second began before the first had ended.

    A run that never ended belongs to a killed process and overlaps nothing.
    """
    found: list[tuple[Mark, Mark]] = []
    for lines in marks.values():
        ends = {(mark.pid, mark.attempt): mark.at for mark in lines if mark.what == "end"}
        starts = [mark for mark in lines if mark.what == "start"]
        for before, after in pairwise(starts):
            ended = ends.get((before.pid, before.attempt))
            if ended is not None and ended > after.at:
                found.append((before, after))
    return found


def attempts_are_distinct(marks: dict[int, list[Mark]]) -> bool:
    """Whether no job has two runs of one number."""
    return all(
        max(Counter(mark.attempt for mark in lines if mark.what == "start").values(), default=0) <= 1
        for lines in marks.values()
    )
