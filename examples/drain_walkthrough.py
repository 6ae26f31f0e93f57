"""From standalone to distributed, an agent drained while jobs flow, and back; nothing is lost on the way.

    python examples/drain_walkthrough.py

All stores are SQLite files in the current directory; WALK_MASTER, WALK_NORTH and WALK_SOUTH name other
databases by their URLs. The database of the standalone cluster becomes the master, and at the end it is
standalone again.
"""

import os
import threading
import time
from collections import Counter
from uuid import UUID

from jobmaster import ClusterConfig, DrainReport, JobContext, JobRequest, JobStatus, Scheduler, job

runs: Counter[UUID] = Counter()
accepted: list[UUID] = []


@job("count")
async def count(job: JobContext) -> None:
    runs[job.id] += 1


def config() -> ClusterConfig:
    return ClusterConfig("walkthrough").lease(2).add_handlers(count)


def standalone() -> ClusterConfig:
    chosen, url = config(), os.environ.get("WALK_MASTER", "walk_master.db")
    steps = {
        "postgresql": chosen.use_postgres,
        "mysql": chosen.use_mysql,
        "mariadb": chosen.use_mysql,
        "mssql": chosen.use_sqlserver,
    }
    return steps.get(url.partition(":")[0], chosen.use_sqlite)(url)


def distributed() -> ClusterConfig:
    chosen, url = config(), os.environ.get("WALK_MASTER", "walk_master.db")
    steps = {
        "postgresql": chosen.use_postgres_for_master,
        "mysql": chosen.use_mysql_for_master,
        "mariadb": chosen.use_mysql_for_master,
        "mssql": chosen.use_sqlserver_for_master,
    }
    steps.get(url.partition(":")[0], chosen.use_sqlite_for_master)(url)
    chosen.add_agent_connection("north", os.environ.get("WALK_NORTH", "walk_north.db"))
    return chosen.add_agent_connection("south", os.environ.get("WALK_SOUTH", "walk_south.db"))


def enqueue(scheduler: Scheduler, jobs: int) -> None:
    accepted.extend(scheduler.once_many([JobRequest(count)] * jobs, returning="ids"))


def until_done(scheduler: Scheduler) -> None:
    for job_id in accepted:
        finished = scheduler.wait(job_id, timeout=60)
        assert finished.status is JobStatus.SUCCEEDED, finished


def main() -> None:
    cluster = standalone().build()
    enqueue(cluster.scheduler, 100)
    cluster.close()
    print("standalone: 100 jobs wait, no worker has run")

    # The same database is the master now. Agents that an earlier walk has drained take jobs again.
    cluster = distributed().add_worker("north").add_worker("south").build()
    for name in ("north", "south"):
        cluster.undrain(name)
    with cluster:
        until_done(cluster.scheduler)
        print("distributed: the 100 jobs were placed on agents and have run")

        stop = threading.Event()

        def flow() -> None:
            while not stop.is_set():
                enqueue(cluster.scheduler, 10)
                time.sleep(0.01)

        producer = threading.Thread(target=flow)
        producer.start()
        time.sleep(0.5)
        report = cluster.drain("north", timeout=60)
        assert report.empty, report
        stop.set()
        producer.join()
        print("north is empty, while jobs flowed all the time; south has run them")
        until_done(cluster.scheduler)

        # Without agents to go to, jobs wait on the master, due or not.
        later = cluster.scheduler.once_after(count, 3600)
        seen: list[DrainReport] = []
        report = cluster.drain("south", hold=True, timeout=60, progress=seen.append)
        assert report.empty, report
        assert seen, "nobody heard of the progress"
        enqueue(cluster.scheduler, 50)
        held = cluster.scheduler.count_jobs(status=JobStatus.HELD_ON_MASTER, definition_id="count")
        assert held == 51, held
        print("south is empty too: what comes now is held on the master")

    with standalone().add_worker().build() as cluster:
        until_done(cluster.scheduler)
        print("standalone again: the 50 jobs have run")
        assert cluster.scheduler.get_job(later.id).status is JobStatus.READY
        assert cluster.scheduler.cancel_job(later.id)
        left = cluster.scheduler.count_jobs(status=[s for s in JobStatus if not s.is_final])
        assert left == 0, left
    assert runs == Counter(dict.fromkeys(accepted, 1)), "a job was lost or ran twice"
    print("every accepted job has run exactly once")
    print(f"{len(accepted)} jobs in all")


if __name__ == "__main__":
    main()
