"""A storm: real worker processes and a real server, broken at random instants from one seed.

The checker trusts the handlers' own record and what the master says, and nothing else.
"""

from __future__ import annotations

import random
import shutil
import signal
import tempfile
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from subprocess import TimeoutExpired

import sqlalchemy as sa

from jobmaster import Cluster, JobMasterError, JobRequest, JobStatus
from jobmaster.sql.urls import parse_url
from tests.forking import forks
from tests.harness.checker import observer_of
from tests.harness.processes import WorkerProcess, Workers
from tests.harness.producer import BATCH as PRODUCED
from tests.harness.proxy import Proxy
from tests.harness.record import Mark, read_record
from tests.harness.smalldisk import SmallDisk
from tests.servers import MariaDbServer, NatsServer, PostgresServer

__all__ = ["BACKENDS", "FAULTS", "Ground", "Result", "ground", "storm"]

LEASE = 3.0
CONCURRENCY = 10
BATCH = 30
RATE = 100
"""Jobs per second that the producer enqueues."""
STEADY = 3.0
"""Seconds over which a rate is measured."""
RATE_BACK = 0.95
WATCHED = 12.0
"""Seconds after the last fault in which the rate may come back."""
SERVER_FAULTS = ("server killed", "server frozen")
NETWORK_FAULTS = ("network slow", "network cut", "network half closed")
DISK_FULL = "disk full"
WORKER_FAULTS = ("worker killed", "worker frozen", "worker stopped", "clock off")
OTHER_FAULTS = ("producer killed", "schema changed")
FAULTS = (*WORKER_FAULTS, *SERVER_FAULTS, *NETWORK_FAULTS, DISK_FULL, *OTHER_FAULTS)
BACKENDS = ("sqlite", "postgres", "mariadb", "nats", "nats-oldest")
"""``nats-oldest`` is a server of the oldest version supported."""


@dataclass
class Ground:
    """Where a storm takes place: fresh stores for each run, on a server of its own where there is one."""

    backend: str
    server: PostgresServer | MariaDbServer | NatsServer | None
    disk: SmallDisk | None = None
    """Where the server, or the file, is, if that can be filled."""

    def stores(self, directory: Path) -> tuple[str, dict[str, str] | None]:
        """URL of the database, or of the master with the agents."""
        folder = directory
        if self.disk is not None and self.server is None:
            folder = Path(tempfile.mkdtemp(dir=self.disk.path))
        file = f"sqlite:///{folder / 'jobs.db'}"
        if self.server is None:
            return file, None
        url = self.server.create_database()
        return (file, {"hot": url}) if self.is_nats else (url, None)

    def drop(self, url: str, agents: dict[str, str] | None) -> None:
        """Give the stores of a run up."""
        if self.server is not None:
            self.server.drop_database(agents["hot"] if agents else url)
        elif self.disk is not None:
            shutil.rmtree(Path(url.removeprefix("sqlite:///")).parent)

    def by(self, proxy: Proxy | None, url: str) -> str:
        """The same store by way of a proxy."""
        if proxy is None or self.server is None:
            return url
        return url.replace(f":{self.server.port}", f":{proxy.port}")

    @property
    def faults(self) -> tuple[str, ...]:
        """The faults that there are here: a file has no server, and whoever shares it shares a clock (the
        master of NATS is a file here)."""
        there = WORKER_FAULTS if self.server is None else (*WORKER_FAULTS, *SERVER_FAULTS, *NETWORK_FAULTS)
        if self.disk is not None and self.backend != "nats-oldest":
            # NATS 2.9 that met a full disk serves nobody any more, does not stop, and forgets what was
            # acknowledged when it is killed
            there += (DISK_FULL,)
        there += OTHER_FAULTS
        one_clock = self.server is None or self.is_nats
        return tuple(kind for kind in there if kind != "clock off" or not one_clock)

    @property
    def is_nats(self) -> bool:
        """Whether the server is an agent of a master in a file."""
        return isinstance(self.server, NatsServer)

    def keep(self, directory: Path, kept: Path) -> None:
        """Copy the stores of a run as they are, its record and its logs."""
        shutil.copytree(directory, kept / "run")
        held = self.server.directory if self.server is not None else self.disk and self.disk.path
        if held is None or (self.server is not None and not self.is_nats):
            return  # the whole data directory of a database would be too much
        if self.server is not None:
            self.server.pause()
        try:
            shutil.copytree(held, kept / "store")
        finally:
            if self.server is not None:
                self.server.resume()


_MEGABYTES = {"sqlite": 64, "postgres": 800, "mariadb": 800, "nats": 512, "nats-oldest": 512}
"""A disk that can be filled: room enough for a server with its data."""


@contextmanager
def ground(backend: str, *, small_disk: bool = False) -> Iterator[Ground]:
    """The server of a backend, private; raises ``ServerAbsent``. ``small_disk``: on a disk of its own, which
    raises ``DiskAbsent`` where there can be none."""
    servers: dict[str, Callable[[], PostgresServer | MariaDbServer | NatsServer]] = {
        "postgres": PostgresServer,
        "mariadb": MariaDbServer,
        "nats": NatsServer,
        "nats-oldest": partial(NatsServer, oldest=True),
    }
    with ExitStack() as stack:
        disk = stack.enter_context(SmallDisk(_MEGABYTES[backend])) if small_disk else None
        server = servers[backend]() if backend in servers else None
        if server is not None:
            server.parent = None if disk is None else disk.path
            stack.enter_context(server)
        yield Ground(backend, server, disk)


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
    ended_in: float = 0.0
    """Seconds from the end of the last fault until everything accepted had ended."""
    rate: float = 0.0
    """Jobs that ended per second before the first fault."""
    recovered_in: float | None = None
    """Seconds from the end of the last fault until a rate of 95 % of that began to hold; ``None``: not
    measured, or not in time."""
    problems: list[str] = field(default_factory=list)


class _Producer(threading.Thread):
    """Enqueues numbered jobs at a steady rate until told to stop; knows which calls have returned."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        super().__init__(name="storm-producer", daemon=True)
        self._cluster = cluster
        self._chance = random.Random(f"producer {seed}")
        self.accepted: dict[int, bool] = {}
        """By number, whether the job fails once on purpose."""
        self.unsure: set[int] = set()
        self.others: dict[int, bool] = {}
        """What was accepted of producers that were killed."""
        self.ended = threading.Event()
        self._next = 0

    def run(self) -> None:
        due = time.monotonic()
        while not self.ended.wait(max(0.0, due - time.monotonic())):
            count = self._chance.randint(1, RATE // 5)
            # who was kept waiting does not make up for it
            due = max(due, time.monotonic() - 0.5) + count / RATE
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
    def __init__(
        self,
        place: Ground,
        workers: Workers,
        producer: _Producer,
        stores: tuple[str, Mapping[str, str] | None],
        proxy: Proxy | None,
        result: Result,
        chance: random.Random,
    ) -> None:
        self._place = place
        self._producer = producer
        self._url, self._agents = stores
        self._struck = 0
        self._proxy = proxy
        self._workers = workers
        self._result = result
        self._chance = chance
        self._fleet = ["hot::full"] if place.is_nats else []
        self.frozen: list[tuple[int, float, float]] = []
        """Process, from, until."""

    def start(self, count: int) -> None:
        self._workers.start(count, self._fleet)

    def strike(self, kind: str) -> None:
        """One fault, begun and ended."""
        self._result.faults[kind] += 1
        self._struck += 1
        {
            "worker killed": self._kill,
            "worker frozen": self._freeze,
            "worker stopped": self._stop,
            "clock off": self._set_clock,
            "server killed": self._kill_server,
            "server frozen": self._freeze_server,
            "network slow": self._slow_network,
            "network cut": self._cut_network,
            "network half closed": self._half_close_network,
            DISK_FULL: self._fill_disk,
            "producer killed": self._kill_producer,
            "schema changed": self._change_schema,
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

    def _slow_network(self) -> None:
        proxy = self._network
        proxy.delay(self._chance.uniform(0.1, 0.6))
        time.sleep(self._chance.uniform(0.3, 1.2) * LEASE)
        proxy.heal()

    def _cut_network(self) -> None:
        proxy = self._network
        proxy.cut()
        time.sleep(self._chance.uniform(0.0, 1.2) * LEASE)
        proxy.heal()

    def _half_close_network(self) -> None:
        proxy = self._network
        proxy.half_close()
        time.sleep(self._chance.uniform(0.1, 1.2) * LEASE)
        proxy.heal()

    @property
    def _network(self) -> Proxy:
        assert self._proxy is not None
        return self._proxy

    def _kill_producer(self) -> None:
        """Another producer, which dies in the middle of a call."""
        first, noted = self._struck * 1_000_000, self._workers.directory / f"accepted-{self._struck}.txt"
        told = ["--url", self._url, "--accepted", str(noted), "--first", str(first)]
        for name, url in (self._agents or {}).items():
            told += ["--agent", f"{name}={url}"]
        log = self._workers.directory / f"producer-{self._struck}.log"
        process = forks().start("tests.harness.producer", told, log)
        try:
            _until(lambda: noted.exists() and noted.stat().st_size > 0, 30)
            time.sleep(self._chance.uniform(0.0, 0.3))
        finally:
            process.kill()
            process.wait(10)
        accepted = [int(line) for line in noted.read_text().splitlines()] if noted.exists() else []
        if not accepted:
            self._result.problems.append(f"producer {self._struck} had no job accepted within 30 s")
        self._producer.others.update(dict.fromkeys(accepted, False))
        begun = first + len(accepted) + PRODUCED
        self._producer.unsure.update(set(range(first, begun)).difference(accepted))

    def _change_schema(self) -> None:
        """What a later release may do to tables that are in use: another column, and another index."""
        engine = sa.create_engine(parse_url(self._url).url, poolclass=sa.NullPool)
        for table, column in (("job", "run_at"), ("history", "finished_at")):
            for statement in (
                f"ALTER TABLE jm_{table} ADD COLUMN later_{self._struck} BIGINT",
                f"CREATE INDEX jm_{table}_later_{self._struck} ON jm_{table} ({column})",
            ):
                if not _until(partial(_takes, engine, statement), 30):
                    self._result.problems.append(f"not done within 30 s: {statement}")
        engine.dispose()

    def _fill_disk(self) -> None:
        disk, server = self._place.disk, self._place.server
        assert disk is not None
        disk.fill()
        time.sleep(self._chance.uniform(0.3, 1.2) * LEASE)
        disk.free()
        if isinstance(server, NatsServer):
            # a stream that could not be written refuses everything until it is started anew; some that could
            # not write their files do not stop when they are asked to
            with suppress(TimeoutError):
                server.stop(timeout=5.0)
            server.start()
        elif server is not None:
            server.start()  # one that gave up is started by whoever made room; one that runs is left alone


def storm(
    place: Ground,
    seed: int,
    directory: Path,
    *,
    strikes: int = 4,
    kinds: Sequence[str] = (),
    workers: int = 2,
    patience: float = 90.0,
    measure: bool = False,
    keep: Path | None = None,
) -> Result:
    """Run one storm of so many faults and check what is left; ``problems`` says what is wrong. ``measure``:
    how soon after the last fault as many jobs end per second as before the first. ``keep``: a folder, not
    there yet, to which the evidence is copied when something is wrong."""
    chosen = tuple(kinds) or place.faults
    result = Result(place.backend, seed, chosen)
    chance = random.Random(f"storm {seed}")
    url, agents = place.stores(directory)
    with ExitStack() as stack:
        stack.callback(place.drop, url, agents)
        proxy = None
        if place.server is not None and set(chosen).intersection(NETWORK_FAULTS):
            proxy = stack.enter_context(Proxy(place.server.port, seed))
        seen = place.by(proxy, url)
        seen_agents = agents and {name: place.by(proxy, there) for name, there in agents.items()}
        cluster = stack.enter_context(closing(observer_of(seen, seen_agents, 10)))
        fleet = stack.enter_context(
            Workers(
                seen,
                directory,
                seen_agents,
                lease=LEASE,
                concurrency=CONCURRENCY,
                batch_size=BATCH,
                grace=1,
                threshold=10,
            )
        )
        producer = _Producer(cluster, seed)
        doing = _Storm(place, fleet, producer, (seen, seen_agents), proxy, result, chance)
        doing.start(workers)
        producer.start()
        _until(fleet.has_begun, 60)
        if measure:
            _until(lambda: all(map(_has_started, fleet.running)), 30)
            time.sleep(1.0 + STEADY)
            # what had gathered while the workers started does not count
            result.rate = min(RATE, _rate(fleet.record, time.monotonic() - STEADY))
        # every kind once, while there are strikes left for it
        planned = [*chance.sample(chosen, min(strikes, len(chosen)))]
        planned += [chance.choice(chosen) for _ in range(strikes - len(planned))]
        for kind in planned:
            time.sleep(chance.uniform(0.1, 1.0))
            doing.strike(kind)
        over = time.monotonic()
        if measure:
            result.recovered_in = _recovery(fleet.record, over, result.rate * RATE_BACK)
        producer.ended.set()
        producer.join(60)
        producer.accepted.update(producer.others)
        _check(cluster, fleet, producer, doing.frozen, result, over, patience, len(planned) * workers)
        # what the dead left behind is emptied first and deleted by the next who looks
        _until(lambda: all(map(_has_started, fleet.running)), 30)
        _until(lambda: len(cluster.buckets()) <= 5 * len(fleet.running), 30)
        for worker in fleet.running:
            _dismiss(worker, result)
        if left := cluster.buckets():
            result.problems.append(f"{len(left)} buckets are left: {left[0]}")
        if keep is not None and result.problems:
            place.keep(directory, keep)
    return result


def _takes(engine: sa.Engine, statement: str) -> bool:
    """Whether a statement was executed; not while the tables are locked."""
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
    except sa.exc.OperationalError:
        return False
    return True


def _ends(record: Path) -> list[float]:
    """When jobs came to their end, in order."""
    return sorted(mark.at for marks in read_record(record).values() for mark in marks if mark.what == "end")


def _rate(record: Path, since: float) -> float:
    """Jobs per second that ended in the time that a rate is measured over."""
    ends = _ends(record)
    return (bisect_left(ends, since + STEADY) - bisect_left(ends, since)) / STEADY


def _recovery(record: Path, over: float, wanted: float) -> float | None:
    """Seconds from ``over`` until as many jobs per second begin to end."""
    while True:
        now, ends = time.monotonic(), _ends(record)
        start = over
        while start + STEADY <= now:
            if bisect_left(ends, start + STEADY) - bisect_left(ends, start) >= wanted * STEADY:
                return round(start - over, 1)
            start += 0.1
        if now - over > WATCHED + STEADY:
            return None
        time.sleep(0.2)


def _dismiss(worker: WorkerProcess, result: Result) -> None:
    """SIGTERM; only a process that had not begun to work may end by the signal itself."""
    try:
        code = worker.stop()
    except (TimeoutError, TimeoutExpired):
        log = worker.log.read_text(errors="replace")
        result.problems.append(f"a worker did not stop within 30 s when asked to: {log[-800:]}")
        worker.kill()
        return
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
    result.ended_in = time.monotonic() - over
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
        runs = _runs(lines)
        for number, (first, ended) in enumerate(runs):
            if ended is None or first.pid in lapsed:
                continue
            was_frozen = any(pid == first.pid and a < ended and b > first.at for pid, a, b in frozen)
            found += [
                (first, after) for after, _ in runs[number + 1 :] if after.at < ended and not was_frozen
            ]
    return found


def _runs(lines: list[Mark]) -> list[tuple[Mark, float | None]]:
    """Each start with the instant of its end, in order. A server that forgot what it had delivered lets a job
    run again under the same number."""
    runs: list[tuple[Mark, float | None]] = []
    for mark in lines:
        if mark.what == "start":
            runs.append((mark, None))
            continue
        for place, (start, ended) in enumerate(runs):
            if ended is None and (start.pid, start.attempt) == (mark.pid, mark.attempt):
                runs[place] = (start, mark.at)
                break
    return runs
