"""Several processes race for the same jobs: none is lost, none runs twice."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from jobmaster import JobRequest
from tests.harness.checker import observer_of, reruns, until_all_ended, verify
from tests.harness.processes import Workers

JOBS = 10_000


@pytest.mark.timeout(180)
def test_four_processes_run_ten_thousand_jobs_once_each(database_url: str, tmp_path: Path) -> None:
    cluster = observer_of(database_url)
    try:
        requests = (JobRequest("numbered", {"number": n}) for n in range(JOBS))
        with Workers(database_url, tmp_path, lease=15, concurrency=20, batch_size=50) as workers:
            workers.start(4)
            end = time.monotonic() + 30
            while len(cluster.workers()) < 4:
                assert time.monotonic() < end, workers.logs()
                time.sleep(0.05)
            assert len(cluster.scheduler.once_many(requests, returning="ids")) == JOBS
            until_all_ended(cluster, JOBS, 120)
            marks = verify(cluster, workers.record, JOBS)
            assert reruns(marks) == 0
            # how many take part is up to the machine: it may be over before the last one has its turn
            assert len({mark.pid for lines in marks.values() for mark in lines}) > 1
            assert [worker.stop() for worker in workers.all] == [0, 0, 0, 0]
        assert cluster.buckets() == []
        assert cluster.workers() == []
    finally:
        cluster.close()
