"""A storm: real worker processes and a real server, broken at random instants from one seed.

The checker trusts the handlers' own record and what the master says, and nothing else.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jobmaster import Cluster, JobMasterError, JobRequest, JobStatus
from tests.harness.checker import observer_of
from tests.harness.processes import WorkerProcess, Workers
from tests.harness.record import Mark, read_record
from tests.servers import MariaDbServer, NatsServer, PostgresServer

__all__ = ["BACKENDS", "FAULTS", "Ground", "Result", "faults_of", "ground", "storm"]

LEASE = 3.0
CONCURRENCY = 10
BATCH = 30
SERVER_FAULTS = ("server killed", "server frozen")
WORKER_FAULTS = ("worker killed", "worker frozen", "worker stopped", "clock off")
FAULTS = (*WORKER_FAULTS, *SERVER_FAULTS)
BACKENDS = ("sqlite", "postgres", "mariadb", "nats")


@dataclass
class Ground:
    """Where a storm takes place: fresh stores for each run, on a server of its own where there is one."""

    backend: str
    server: PostgresServer | MariaDbServer | NatsServer | None

    def stores(self, directory: Path) -> tuple[str, dict[str, str] | None]:
        """URL of the database, or of the master with the agents."""
        file = f"sqlite:///{directory / 'jobs.db'}"
        if self.server is None:
            return file, None
        url = self.server.create_database()
        return (file, {"hot": url}) if self.backend == "nats" else (url, None)

    def drop(self, url: str, agents: dict[str, str] | None) -> None:
        """Give the stores of a run up."""
        if self.server is not None:
            self.server.drop_database(agents["hot"] if agents else url)


@contextmanager
def ground(backend: str) -> Iterator[Ground]:
    """The server of a backend, private; raises ``ServerAbsent``."""
    servers: dict[str, Callable[[], PostgresServer | MariaDbServer | NatsServer]] = {
        "postgres": PostgresServer,
        "mariadb": MariaDbServer,
        "nats": NatsServer,
    }
    if backend not in servers:
        yield Ground(backend, None)
        return
    with servers[backend]() as server:
        yield Ground(backend, server)


def faults_of(backend: str) -> tuple[str, ...]:
    """The faults that there are on a backend: a file has no server, and whoever shares it shares a clock (the
    master of NATS is a file here)."""
    there = WORKER_FAULTS if backend == "sqlite" else FAULTS
    return tuple(kind for kind in there if kind != "clock off" or backend not in ("sqlite", "nats"))


@dataclass
class Result:
    """What one storm did, and what the checker found."""

    backend: str
    seed: int
    kinds: tuple[str, ...]
    jobs: int = 0
    unsure: int = 0
    """Jobs whose call failed: they may exist or not."""
    faults: Counter[str] = field(default_factory=Counter)
    reruns: int = 0
    """Runs beyond those that the handlers asked for."""
    lost: int = 0
    overlaps: int = 0
    """Runs of one job at once though the first one's process was neither frozen nor had lost its lease."""
    recovered_in: float = 0.0
    """Seconds from the end of the last fault until everything accepted had ended."""
    problems: list[str] = field(default_factory=list)


class _Producer(threading.Thread):
    """Enqueues numbered jobs until told to stop; knows which calls have returned."""

    def __init__(self, cluster: Cluster, seed: int, pace: float) -> None:
        super().__init__(name="storm-producer", daemon=True)
        self._cluster = cluster
        self._chance = random.Random(f"producer {seed}")
        self._pace = pace
        self.accepted: dict[int, bool] = {}
        """By number, whether the job fails once on purpose."""
        self.unsure: set[int] = set()
        self.ended = threading.Event()
        self._next = 0

    def run(self) -> None:
        while not self.ended.wait(self._pace):
            count = self._chance.randint(1, 40)
            numbers = range(self._next, self._next + count)
            self._next += count
            failing = {number: self._chance.random() < 0.2 for number in numbers}
            keyed = self._chance.random() < 0.2
            try:
                self._cluster.scheduler.once_many(
                    [self._request(number, failing[number], keyed) for number in numbers], returning="ids"
                )
            except JobMasterError:
                self.unsure.update(numbers)
            else:
                self.accepted.update(failing)

    def _request(self, number: int, failing: bool, keyed: bool) -> JobRequest:
        chance = self._chance
        return JobRequest(
            "numbered-failing" if failing else "numbered",
            {"number": number, "seconds": chance.choice([0.0, 0.01, 0.05, chance.random() * 0.3])},
            unique_key=f"key {number}" if keyed else None,
            priority=chance.randint(1, 5),
        )


class _Storm:
    def __init__(self, place: Ground, workers: Workers, result: Result, chance: random.Random) -> None:
        self._place = place
        self._workers = workers
        self._result = result
        self._chance = chance
        self._fleet = ["hot::full"] if place.backend == "nats" else []
        self.frozen: list[tuple[int, float, float]] = []
        """Process, from, until."""

    def start(self, count: int) -> None:
        self._workers.start(count, self._fleet)

    def strike(self, kind: str) -> None:
        """One fault, begun and ended."""
        self._result.faults[kind] += 1
        {
            "worker killed": self._kill,
            "worker frozen": self._freeze,
            "worker stopped": self._stop,
            "clock off": self._set_clock,
            "server killed": self._kill_server,
            "server frozen": self._freeze_server,
        }[kind]()

    def _victim(self) -> WorkerProcess:
        return self._chance.choice(self._workers.running)

    def _kill(self) -> None:
        self._victim().kill()
        self.start(1)

    def _freeze(self) -> None:
        victim, began = self._victim(), time.monotonic()
        victim.freeze()
        time.sleep(self._chance.uniform(0.3, 1.6) * LEASE)
        victim.thaw()
        self.frozen.append((victim.pid, began, time.monotonic()))

    def _stop(self) -> None:
        victim = self._victim()
        self.start(1)
        _dismiss(victim, self._result)

    def _set_clock(self) -> None:
        victim = self._victim()
        self._workers.start_off(self._chance.choice([-3600.0, 3600.0]), self._fleet)
        victim.kill()

    def _kill_server(self) -> None:
        server = self._place.server
        assert server is not None
        server.kill()
        time.sleep(self._chance.uniform(0.0, 1.2) * LEASE)
        server.start()

    def _freeze_server(self) -> None:
        server = self._place.server
        assert server is not None
        server.pause()
        time.sleep(self._chance.uniform(0.1, 1.2) * LEASE)
        server.resume()


def storm(
    place: Ground,
    seed: int,
    directory: Path,
    *,
    strikes: int = 4,
    kinds: Sequence[str] = (),
    workers: int = 2,
    patience: float = 90.0,
) -> Result:
    """Run one storm of so many faults and check what is left; ``problems`` says what is wrong."""
    chosen = tuple(kinds) or faults_of(place.backend)
    result = Result(place.backend, seed, chosen)
    chance = random.Random(f"storm {seed}")
    url, agents = place.stores(directory)
    cluster = observer_of(url, agents, 10)
    try:
        with Workers(
            url,
            directory,
            agents,
            lease=LEASE,
            concurrency=CONCURRENCY,
            batch_size=BATCH,
            grace=1,
            threshold=10,
        ) as fleet:
            doing = _Storm(place, fleet, result, chance)
            doing.start(workers)
            producer = _Producer(cluster, seed, 0.2)
            producer.start()
            _until(fleet.has_begun, 60)
            # every kind once, while there are strikes left for it
            planned = [*chance.sample(chosen, min(strikes, len(chosen)))]
            planned += [chance.choice(chosen) for _ in range(strikes - len(planned))]
            for kind in planned:
                time.sleep(chance.uniform(0.1, 1.0))
                doing.strike(kind)
            over = time.monotonic()
            producer.ended.set()
            producer.join(60)
            _check(cluster, fleet, producer, doing.frozen, result, over, patience, len(planned) * workers)
            # what the dead left behind is emptied first and deleted by the next who looks
            _until(lambda: all(map(_has_started, fleet.running)), 30)
            _until(lambda: len(cluster.buckets()) <= 5 * len(fleet.running), 30)
            for worker in fleet.running:
                _dismiss(worker, result)
            if left := cluster.buckets():
                result.problems.append(f"{len(left)} buckets are left: {left[0]}")
    finally:
        cluster.close()
        place.drop(url, agents)
    return result


def _dismiss(worker: WorkerProcess, result: Result) -> None:
    """SIGTERM; only a process that had not begun to work may end by the signal itself."""
    code = worker.stop()
    if code != 0 and (code != -signal.SIGTERM or _has_started(worker)):
        log = worker.log.read_text(errors="replace")
        result.problems.append(f"a worker ended with {code} when asked to stop: {log[-800:]}")


def _has_started(worker: WorkerProcess) -> bool:
    return "started on agent" in worker.log.read_text(errors="replace")


def _until(reached: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _check(
    cluster: Cluster,
    fleet: Workers,
    producer: _Producer,
    frozen: list[tuple[int, float, float]],
    result: Result,
    over: float,
    patience: float,
    struck: int,
) -> None:
    scheduler = cluster.scheduler
    live = [status for status in JobStatus if not status.is_final]
    done = _until(lambda: scheduler.count_jobs(status=live) == 0, patience)
    result.recovered_in = time.monotonic() - over
    result.jobs, result.unsure = len(producer.accepted), len(producer.unsure)
    if not done:
        stuck = next(iter(scheduler.find_jobs(status=live, limit=1)))
        result.problems.append(
            f"{scheduler.count_jobs(status=live)} jobs have not ended: {scheduler.explain(stuck.id)}"
        )
    jobs = _every_job(cluster)
    if unknown := [number for number in producer.accepted if number not in jobs]:
        began = time.monotonic()
        _until(lambda: all(number in _every_job(cluster) for number in unknown), 5 * LEASE)
        jobs = _every_job(cluster)
        result.problems.append(
            f"{len(unknown)} accepted jobs were on no list when all had ended, such as {unknown[:5]}; "
            f"{len([n for n in unknown if n in jobs])} of them {time.monotonic() - began:.1f} s later"
        )
    wrong = [job for job in jobs.values() if job != JobStatus.SUCCEEDED]
    gone = [number for number in producer.accepted if number not in jobs]
    marks = read_record(fleet.record)
    never = [n for n in producer.accepted if not any(mark.what == "end" for mark in marks.get(n, ()))]
    result.lost = len({*gone, *never})
    if result.lost:
        result.problems.append(
            f"{len(gone)} jobs are gone, such as {gone[:5]}, and {len(never)} never ran to an end, "
            f"such as {never[:5]}"
        )
    if wrong and done:
        result.problems.append(f"{len(wrong)} jobs ended as {Counter(wrong)}")
    if strangers := [n for n in jobs if n not in producer.accepted and n not in producer.unsure]:
        result.problems.append(f"jobs that nobody enqueued: {strangers[:5]}")
    planned = {n: 1 + failing for n, failing in producer.accepted.items()}
    result.reruns = sum(max(0, _starts(marks.get(n, [])) - runs) for n, runs in planned.items())
    if result.reruns > struck * (BATCH + CONCURRENCY):
        result.problems.append(f"{result.reruns} runs were repeated: more than can have been in flight")
    overlapping = _overlaps(marks, fleet, frozen)
    result.overlaps = len(overlapping)
    if overlapping:
        result.problems.append(f"{len(overlapping)} overlaps within a lease, such as {overlapping[0]}")


def _every_job(cluster: Cluster) -> dict[int, JobStatus]:
    """The status of each job that the master knows, by number; a number that is there twice is a fault."""
    found: dict[int, JobStatus] = {}
    cursor = None
    while True:
        page = cluster.scheduler.find_jobs(limit=1000, cursor=cursor)
        for job in page:
            number = job.data["number"]
            assert number not in found, f"job {number} is there twice"
            found[number] = job.status
        cursor = page.next_cursor
        if cursor is None:
            return found


def _starts(marks: list[Mark]) -> int:
    return len([mark for mark in marks if mark.what == "start"])


def _overlaps(
    marks: dict[int, list[Mark]], fleet: Workers, frozen: list[tuple[int, float, float]]
) -> list[tuple[Mark, Mark]]:
    """Two runs of a job at once, unless the first one's process had lost its lease: it was frozen during that
    run, or its own log says so."""
    lapsed = {worker.pid for worker in fleet.all if "lease lost" in worker.log.read_text(errors="replace")}
    found = []
    for lines in marks.values():
        ends = {(mark.pid, mark.attempt): mark.at for mark in lines if mark.what == "end"}
        starts = [mark for mark in lines if mark.what == "start"]
        for number, first in enumerate(starts):
            ended = ends.get((first.pid, first.attempt))
            if ended is None or first.pid in lapsed:
                continue
            was_frozen = any(pid == first.pid and a < ended and b > first.at for pid, a, b in frozen)
            found += [(first, after) for after in starts[number + 1 :] if after.at < ended and not was_frozen]
    return found
