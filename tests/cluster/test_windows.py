"""Each window between a write on an agent and one on the master: the process dies, or the answer is lost,
just there, and every job still ends exactly once."""

from __future__ import annotations

import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest

from jobmaster import Cluster, JobContext, JobHandler, JobRequest, JobStatus, Retry
from tests.cluster.conftest import Site
from tests.harness.checker import observer_of, reruns, until_all_ended, verify
from tests.harness.faults import Breaks, build, lost_connection
from tests.harness.processes import Workers

_SHIP = {"sqlite": "shipped", "postgres": "ship", "mariadb": "ship", "sqlserver": "ship", "nats": "ship"}
_SAVE = {"sqlite": "saved", "postgres": "save", "mariadb": "save", "sqlserver": "save", "nats": "save"}


def named(point: str, kind: str) -> str:
    """A point by the name that it has on this engine: one writer cannot keep a transaction open meanwhile."""
    return point.replace("SHIP", _SHIP[kind]).replace("SAVE", _SAVE[kind])


SHIPPING = ["settle.after_commit", "record.before_commit", "record.after_commit", "SHIP.before_commit"]
ONBOARDING = [
    "place.before_commit",
    "place.after_commit",
    "receive.before_commit",
    "receive.after_commit",
    "confirm.before_commit",
    "confirm.after_commit",
]
MOVING = [
    "take.before_commit",
    "take.after_commit",
    "take_back.before_commit",
    "take_back.after_commit",
    "let_go.before_commit",
    "let_go.after_commit",
]
MIRRORING = ["mirror.before_commit", "mirror.after_commit", "SAVE.before_commit", "SAVE.after_commit"]


@pytest.mark.parametrize("point", [*SHIPPING, *ONBOARDING])
def test_a_worker_that_dies_between_two_stores_loses_and_doubles_nothing(
    site: Site, kind: str, point: str, tmp_path: Path
) -> None:
    """Held and ready jobs, with retries; the process that dies does everything."""
    jobs = 60
    with (
        observer_of(site.master, site.agents, 10) as observer,
        Workers(site.master, tmp_path, site.agents, lease=3, threshold=10) as workers,
    ):
        fleet = ["north::full", "south::full"]
        doomed = workers.start_doomed(f"{named(point, kind)}:2", fleet)
        enqueue(observer, jobs)
        # it may come to the point only when more is held for it to place
        more = jobs
        end = time.monotonic() + 20
        while doomed.running and time.monotonic() < end:
            enqueue(observer, 10, first=more)
            more += 10
            time.sleep(0.1)
        assert doomed.wait(1) == -signal.SIGKILL
        workers.start(1, fleet)
        until_all_ended(observer, more, 40)
        marks = verify(observer, workers.record, more)
        in_flight = 2 * 60
        assert reruns(marks) - retried(more) <= in_flight


def enqueue(observer: Cluster, count: int, first: int = 0) -> None:
    """A third of them are due at once, a third with a key begins on the master, a third is tried twice."""
    s = observer.scheduler
    numbers = range(first, first + count)
    s.once_many([JobRequest("numbered", {"number": n}) for n in numbers if n % 3 == 0], returning="ids")
    s.once_many(
        [JobRequest("numbered", {"number": n}, unique_key=f"k{n}") for n in numbers if n % 3 == 1],
        returning="ids",
    )
    s.once_many(
        [JobRequest("numbered-failing", {"number": n}) for n in numbers if n % 3 == 2], returning="ids"
    )


def retried(count: int) -> int:
    """How many of so many jobs fail once on purpose."""
    return len([n for n in range(count) if n % 3 == 2])


@pytest.mark.parametrize("point", MIRRORING)
def test_a_saver_that_dies_while_it_tells_the_master_loses_and_doubles_nothing(
    site: Site, kind: str, point: str, tmp_path: Path
) -> None:
    """The jobs wait for a worker on their lane, long enough for the master to be told of them."""
    jobs = 40
    with (
        observer_of(site.master, site.agents, 10) as observer,
        Workers(site.master, tmp_path, site.agents, lease=3, threshold=10) as workers,
    ):
        requests = [JobRequest("numbered", {"number": n}, agent_connection="north") for n in range(jobs)]
        observer.scheduler.once_many(requests, returning="ids")
        doomed = workers.start_doomed(f"{named(point, kind)}:1", ["north:other:full"])
        assert doomed.wait(20) == -signal.SIGKILL
        workers.start(1, ["north::full"])
        until_all_ended(observer, jobs, 40)
        assert reruns(verify(observer, workers.record, jobs)) == 0
        assert {d.jobs for d in observer.status().depths} == set()


@pytest.mark.parametrize("point", MOVING)
def test_a_coordinator_that_dies_while_it_moves_jobs_loses_and_doubles_nothing(
    site: Site, kind: str, point: str, tmp_path: Path
) -> None:
    """A worker that only empties its agent dies in the middle of it."""
    jobs = 40
    with (
        observer_of(site.master, site.agents, 10) as observer,
        Workers(site.master, tmp_path, site.agents, lease=3, threshold=10) as workers,
    ):
        s = observer.scheduler
        s.once_many(
            [JobRequest("numbered", {"number": n}, agent_connection="north") for n in range(jobs)],
            returning="ids",
        )
        doomed = workers.start_doomed(f"{named(point, kind)}:1", ["north:other:full", "north::drain"])
        assert doomed.wait(20) == -signal.SIGKILL
        workers.start(1, ["south::full", "north::drain"])
        until_all_ended(observer, jobs, 40)
        marks = verify(observer, workers.record, jobs)
        assert reruns(marks) == 0


runs: list[tuple[int, int]] = []


class Once(JobHandler, definition_id="once", retry=Retry.fixed(0.05)):
    async def handle(self, job: JobContext) -> int:
        runs.append((job.data.get_int("n"), job.attempt))
        if job.data.get_bool("fails") and job.attempt == 1:
            raise ValueError("once")
        return job.attempt


@pytest.mark.parametrize("point", [*SHIPPING, "SHIP.after_commit", *ONBOARDING, *MIRRORING])
async def test_a_lost_answer_between_two_stores_runs_nothing_again(site: Site, kind: str, point: str) -> None:
    runs.clear()
    breaks = Breaks(lost_connection(site.master))
    config = site.config().add_handlers(Once).transient_threshold(10)
    cluster = build(config.add_worker("north").add_worker("south"), breaks)
    async with cluster:
        s = cluster.scheduler
        await s.wait_async((await s.once_now_async(Once, {"n": 0, "fails": False})).id, 10)
        name = named(point, kind)
        breaks.arm(name)
        # what lies on an agent for a second is mirrored when its saver looks the next time, every second
        due_in = timedelta(seconds=4 if point in MIRRORING else 1.5)
        later = [await s.once_after_async(Once, due_in, {"n": n, "fails": False}) for n in (1, 2, 3)]
        keyed = [
            await s.once_now_async(Once, {"n": n, "fails": False}, unique_key=f"k{n}") for n in (4, 5, 6)
        ]
        failing = [await s.once_now_async(Once, {"n": n, "fails": True}) for n in (7, 8, 9)]
        for job in (*later, *keyed, *failing):
            done = await s.wait_async(job.id, 30)
            assert done.status is JobStatus.SUCCEEDED
            assert done.losses == 0
        assert breaks.broke == [name]
    assert sorted(runs) == sorted([(n, 1) for n in range(10)] + [(n, 2) for n in (7, 8, 9)])
