"""Workers are killed, frozen and stopped in mid-run; databases crash. Nothing is lost."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from jobmaster import Cluster, JobRequest, JobStatus, Priority
from tests.harness.checker import observer_of, overlaps, reruns, until_all_ended, verify
from tests.harness.processes import WorkerProcess, Workers
from tests.harness.record import read_record
from tests.servers import MariaDbServer, PostgresServer, ServerAbsent, absent

CONCURRENCY = 10
BUFFER = 5 * CONCURRENCY + CONCURRENCY


@pytest.fixture
def cluster(database_url: str) -> Iterator[Cluster]:
    cluster = observer_of(database_url)
    yield cluster
    cluster.close()


def enqueue(cluster: Cluster, jobs: int, seconds: float, first: int = 0) -> None:
    requests = [
        JobRequest("numbered", {"number": n, "seconds": seconds}, max_retries=0)
        for n in range(first, first + jobs)
    ]
    assert len(cluster.scheduler.once_many(requests, returning="ids")) == jobs


def started(workers: Workers) -> int:
    return workers.record.read_bytes().count(b" start ") if workers.record.exists() else 0


def until_started(workers: Workers, count: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while started(workers) < count:
        assert time.monotonic() < end, f"only {started(workers)} of {count} runs began"
        time.sleep(0.01)


def holds_nothing(url: str) -> bool:
    """Whether nobody is in the middle of a write to this database.

    A process that is frozen in the middle of one keeps its locks, on SQLite and MySQL for as long as it is
    frozen (docs/providers.md), and until then nobody can take over its work.
    """
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0.1)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
        return True
    if url.startswith("mysql"):
        engine = create_engine(url.replace("mysql://", "mysql+pymysql://"))
        with engine.connect() as connection:
            # the server may answer from what it knew 0.1 s ago
            time.sleep(0.2)
            count = connection.scalar(text("SELECT count(*) FROM information_schema.innodb_trx"))
        engine.dispose()
        return count == 0
    return True


def freeze_between_writes(worker: WorkerProcess, url: str) -> None:
    """SIGSTOP, and again when that came in the middle of a write."""
    for _ in range(50):
        worker.freeze()
        if holds_nothing(url):
            return
        worker.thaw()
        time.sleep(0.05)
    raise AssertionError("the worker was found in the middle of a write fifty times")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("jobs", "kills"),
    [
        pytest.param(5_000, 5, id="ci"),
        pytest.param(20_000, 20, id="long", marks=pytest.mark.long),
    ],
)
def test_twenty_kills_over_twenty_thousand_jobs(
    cluster: Cluster, database_url: str, tmp_path: Path, jobs: int, kills: int
) -> None:
    """SIGKILL of a worker, again and again: every job ends, and only what was in flight runs again."""
    seed = int(os.environ.get("JOBMASTER_TEST_SEED", time.time_ns() % 1_000_000))
    print(f"seed {seed}")
    chance = random.Random(seed)
    enqueue(cluster, jobs, 0.004)
    with Workers(database_url, tmp_path, lease=2, concurrency=CONCURRENCY, batch_size=50) as workers:
        workers.start(2)
        for kill in range(kills):
            until_started(workers, (kill + 1) * jobs // (kills + 4))
            chance.choice(workers.running).kill()
            workers.start(1)
        until_all_ended(cluster, jobs, 120)
        marks = verify(cluster, workers.record, jobs)
        assert 0 < reruns(marks) <= kills * BUFFER
        assert overlaps(marks) == []
        # what the dead left has been emptied, and is then deleted: five buckets each are those of the living
        end = time.monotonic() + 20
        while len(cluster.buckets()) > 5 * len(workers.running):
            assert time.monotonic() < end, cluster.buckets()
            time.sleep(0.1)
        assert {worker.stop() for worker in workers.running} == {0}
    assert cluster.buckets() == []


@pytest.mark.timeout(120)
def test_a_frozen_worker_settles_nothing_when_it_wakes(
    cluster: Cluster, database_url: str, tmp_path: Path
) -> None:
    """SIGSTOP beyond the lease: others run its jobs; on waking it stops its handlers and settles nothing."""
    # a job per priority, since those that lost their worker run one at a time per bucket
    jobs = 5
    for number, priority in enumerate(Priority):
        cluster.scheduler.once_now("numbered", {"number": number, "seconds": 9}, priority=priority)
    with Workers(database_url, tmp_path, lease=2, concurrency=CONCURRENCY) as workers:
        (sleeper,) = workers.start(1)
        until_started(workers, jobs)
        freeze_between_writes(sleeper, database_url)
        (other,) = workers.start(1)
        until_started(workers, 2 * jobs)
        sleeper.thaw()
        until_all_ended(cluster, jobs, 30)
        for job in cluster.scheduler.find_jobs():
            assert (job.status, job.attempt, job.losses) == (JobStatus.SUCCEEDED, 2, 1)
        marks = read_record(workers.record)
        for number in range(jobs):
            assert [(m.pid, m.what) for m in marks[number]] == [
                (sleeper.pid, "start"),
                (other.pid, "start"),
                (other.pid, "end"),
            ]
        assert "lease lost" in sleeper.log.read_text()
        # it works again, with buckets of its own
        enqueue(cluster, 200, 0.02, first=jobs)
        until_all_ended(cluster, jobs + 200, 30)
        late = read_record(workers.record)
        pids = {mark.pid for n in range(jobs, jobs + 200) for mark in late[n]}
        assert pids == {sleeper.pid, other.pid}


@pytest.mark.timeout(120)
def test_a_worker_frozen_past_the_end_of_its_jobs_is_refused(
    cluster: Cluster, database_url: str, tmp_path: Path
) -> None:
    """Outcomes that a frozen worker still brings change nothing: the jobs have ended elsewhere."""
    jobs = CONCURRENCY
    enqueue(cluster, jobs, 1)
    with Workers(database_url, tmp_path, lease=1, concurrency=CONCURRENCY) as workers:
        (sleeper,) = workers.start(1)
        until_started(workers, jobs)
        freeze_between_writes(sleeper, database_url)
        workers.start(1)
        until_all_ended(cluster, jobs, 30)
        ended = {job.id: (job.worker_id, job.finished_at) for job in cluster.scheduler.find_jobs()}
        sleeper.thaw()
        enqueue(cluster, 100, 0.02, first=jobs)
        until_all_ended(cluster, jobs + 100, 30)
        after = {job.id: (job.worker_id, job.finished_at) for job in cluster.scheduler.find_jobs(limit=1000)}
        assert {job_id: after[job_id] for job_id in ended} == ended


@pytest.mark.timeout(120)
def test_a_clean_stop_hands_back_without_a_failure(
    cluster: Cluster, database_url: str, tmp_path: Path
) -> None:
    """SIGTERM: what had not started is handed back at once, what runs gets its grace, nothing counts."""
    jobs = 200
    enqueue(cluster, jobs, 0.3)
    with Workers(database_url, tmp_path, lease=15, grace=10, concurrency=CONCURRENCY) as workers:
        (first,) = workers.start(1)
        until_started(workers, CONCURRENCY)
        assert first.stop() == 0
        assert cluster.buckets() == []
        done = cluster.scheduler.count_jobs(status=JobStatus.SUCCEEDED)
        assert done == started(workers)
        assert cluster.scheduler.count_jobs(status=JobStatus.READY) == jobs - done
        workers.start(1)
        until_all_ended(cluster, jobs, 60)
        marks = verify(cluster, workers.record, jobs)
        assert reruns(marks) == 0
        counters = {(j.attempt, j.failures, j.losses) for j in cluster.scheduler.find_jobs(limit=1000)}
        assert counters == {(1, 0, 0)}


@pytest.mark.timeout(120)
def test_a_stop_beyond_the_grace_period_interrupts_and_counts_no_failure(
    cluster: Cluster, database_url: str, tmp_path: Path
) -> None:
    enqueue(cluster, 5, 30)
    with Workers(database_url, tmp_path, lease=15, grace=0.2, concurrency=CONCURRENCY) as workers:
        (first,) = workers.start(1)
        until_started(workers, 5)
        assert first.stop() == 0
        waiting = list(cluster.scheduler.find_jobs())
        assert {(job.status, job.attempt, job.failures, job.losses) for job in waiting} == {
            (JobStatus.READY, 1, 0, 0)
        }
        assert {a.outcome for job in waiting for a in cluster.scheduler.attempts(job.id)} == {"interrupted"}
        assert cluster.buckets() == []


@pytest.mark.timeout(180)
def test_a_poison_job_fails_as_lost_and_spares_its_neighbours(
    cluster: Cluster, database_url: str, tmp_path: Path
) -> None:
    """A job that kills its process is run ``max_losses`` + 1 times; neighbours are charged once at most."""
    enqueue(cluster, 50, 0.05)
    poison = cluster.scheduler.once_now("poison", {"number": 1000})
    with Workers(database_url, tmp_path, lease=2, concurrency=5, max_losses=2) as workers:
        workers.start(1)
        end = time.monotonic() + 90
        while not cluster.scheduler.get_job(poison.id).status.is_final:
            assert time.monotonic() < end, cluster.scheduler.explain(poison.id)
            if not workers.running:
                workers.start(1)
            time.sleep(0.05)
        until_all_ended(cluster, 51, 60)
        job = cluster.scheduler.get_job(poison.id)
        assert (job.status, job.losses) == (JobStatus.FAILED, 3)
        assert job.error is not None
        assert job.error.type == "lost"
        marks = read_record(workers.record)
        assert [mark.attempt for mark in marks[1000]] == [1, 2, 3]
        others = cluster.scheduler.find_jobs(definition_id="numbered", limit=1000)
        assert {other.status for other in others} == {JobStatus.SUCCEEDED}
        assert max(other.losses for other in others) <= 1


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(PostgresServer, marks=pytest.mark.postgres, id="postgres"),
        pytest.param(MariaDbServer, marks=pytest.mark.mariadb, id="mariadb"),
    ],
)
def test_a_server_killed_and_restarted_in_mid_run(
    kind: type[PostgresServer | MariaDbServer], tmp_path: Path
) -> None:
    """``kill -9`` of the server, twice: no job is lost and no worker is left deaf."""
    jobs = 4_000
    try:
        private = kind()
    except ServerAbsent as reason:
        absent(kind.kind, reason)
    with private as server:
        url = server.create_database()
        cluster = observer_of(url)
        try:
            enqueue(cluster, jobs, 0.01)
            with Workers(url, tmp_path, lease=3, concurrency=CONCURRENCY, batch_size=50) as workers:
                workers.start(2)
                for part in (4, 2):
                    until_started(workers, jobs // part)
                    server.kill()
                    server.start()
                until_all_ended(cluster, jobs, 90)
                verify(cluster, workers.record, jobs)
                # both still hear of new work
                enqueue(cluster, 200, 0.02, first=jobs)
                until_all_ended(cluster, jobs + 200, 30)
                late = read_record(workers.record)
                pids = {mark.pid for n in range(jobs, jobs + 200) for mark in late[n]}
                assert pids == {worker.pid for worker in workers.running}
                assert {worker.stop() for worker in workers.running} == {0}
        finally:
            cluster.close()
