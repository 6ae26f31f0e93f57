"""What is measured, in which order, and how the figures come about."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .result import Figure

if TYPE_CHECKING:
    from .cast import Cast
    from .ground import Ground

__all__ = ["LONGER", "MEASUREMENTS", "Plan", "Program"]

BULK_BATCH = 1000
"""Jobs per call of a bulk enqueue, library and floor alike."""
FLOOR_BATCH = 250
"""Jobs per transaction of the floor; the library's workers claim up to as many by default."""
CALLERS = 64
TRICKLE = 50.0
"""Jobs per second of the latency measurement."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. ``jobs`` per drain, ``rounds`` of drains, seconds for the others, ``rows`` that
    tables grow by."""

    jobs: int
    rounds: int
    seconds: float
    idle_seconds: float
    only: frozenset[str]
    rows: int = 100_000
    snapshot_seconds: float = 20.0


class Program:
    """Measures one after the other; yields figures as they come."""

    def __init__(self, plan: Plan, ground: Ground, cast: Cast, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._ground = ground
        self._cast = cast
        self._say = say

    def run(self) -> Iterator[Figure]:
        """Every measurement that the plan asks for."""
        for name, measure in (MEASUREMENTS | LONGER).items():
            if name in self._plan.only:
                self._ground.empty()
                yield from measure(self)

    # -- throughput ------------------------------------------------------------------------------------

    def drain(self) -> Iterator[Figure]:
        """Bulk enqueue and drain, library and floor in turn, so that a slow moment meets both."""
        jobs = self._plan.jobs
        library, floor = self._cast.player(), self._cast.player()
        floor.ask("floor_open")
        rates: dict[str, list[float]] = {name: [] for name in ("fill", "drain", "floor fill", "floor drain")}
        told: list[float] = []
        for number in range(1, self._plan.rounds + 1):
            self._say(f"bulk enqueue and drain, round {number} of {self._plan.rounds}")
            library.ask("open", workers=0)
            rates["fill"].append(jobs / library.ask("fill", count=jobs, batch=BULK_BATCH)["seconds"])
            library.ask("close")
            rates["drain"].append(_rate(jobs, library.ask("drain", count=jobs)))
            library.ask("close")
            filled = floor.ask("floor_fill", count=jobs, batch=BULK_BATCH)
            rates["floor fill"].append(jobs / filled["seconds"])
            rates["floor drain"].append(_rate(jobs, floor.ask("floor_drain", count=jobs, batch=FLOOR_BATCH)))
            if self._ground.has_master:
                floor.ask("floor_fill", count=jobs, batch=BULK_BATCH)
                told.append(_rate(jobs, floor.ask("floor_drain_recorded", count=jobs, batch=FLOOR_BATCH)))
        self._cast.dismiss((library, floor))
        middle = {name: statistics.median(found) for name, found in rates.items()}
        yield _against_floor("bulk enqueue", middle["fill"], middle["floor fill"])
        note = "the floor tells the master nothing" if told else ""
        yield _against_floor("drain, one worker process", middle["drain"], middle["floor drain"], note)
        if told:
            note = "the floor stores each batch of outcomes and inserts it into the master"
            yield _against_floor(
                "drain, floor with the master", middle["drain"], statistics.median(told), note
            )

    def steady(self) -> Iterator[Figure]:
        """A producer process and a worker process at once, from the first enqueue to the last settle.

        The floor does the same in two processes, and by turns on one connection; the faster one counts, since
        an engine with a single writer at a time gains nothing from two.
        """
        jobs = self._plan.jobs
        producer, worker, floor_producer, floor_worker = (self._cast.player() for _ in range(4))
        for floor in (floor_producer, floor_worker):
            floor.ask("floor_open")
        rates: list[float] = []
        apart: list[float] = []
        in_turn: list[float] = []
        for number in range(1, self._plan.rounds + 1):
            self._say(f"steady, round {number} of {self._plan.rounds}")
            producer.ask("open", workers=0)
            worker.ask("open", workers=1)
            worker.begin("expect", count=jobs)
            filled = producer.ask("fill", count=jobs, batch=BULK_BATCH)
            rates.append(jobs / (worker.answer()["ended_at"] - filled["began_at"]))
            worker.ask("close")
            producer.ask("close")
            floor_worker.begin("floor_drain", count=jobs, batch=FLOOR_BATCH)
            filled = floor_producer.ask("floor_fill", count=jobs, batch=BULK_BATCH)
            apart.append(jobs / (floor_worker.answer()["ended_at"] - filled["began_at"]))
            alone = floor_worker.ask("floor_alternate", count=jobs, bulk=BULK_BATCH, batch=FLOOR_BATCH)
            in_turn.append(jobs / alone["seconds"])
        self._cast.dismiss((producer, worker, floor_producer, floor_worker))
        floors = {
            "floor with two processes": statistics.median(apart),
            "floor with one connection": statistics.median(in_turn),
        }
        faster = max(floors, key=lambda name: floors[name])
        yield _against_floor("steady, producer and worker", statistics.median(rates), floors[faster], faster)

    def single(self) -> Iterator[Figure]:
        """Enqueue one job per call: one caller, and many at once."""
        seconds = self._plan.seconds
        self._say("single enqueue")
        library, floor = self._cast.player(), self._cast.player()
        library.ask("open", workers=0)
        floor.ask("floor_open")
        library.ask("single_sequential", seconds=seconds / 4)
        alone = _per_second(library.ask("single_sequential", seconds=seconds))
        floor_alone = _per_second(floor.ask("floor_singles", seconds=seconds))
        yield _against_floor("single enqueue, one caller", alone, floor_alone)
        for kind in ("tasks", "threads"):
            self._say(f"single enqueue, {CALLERS} {kind}")
            many = _per_second(library.ask(f"single_{kind}", callers=CALLERS, seconds=seconds))
            yield Figure(f"single enqueue, {CALLERS} {kind}", many, "jobs/s", alone, "one caller")
        library.ask("close")
        self._cast.dismiss((library, floor))

    # -- latency and idleness --------------------------------------------------------------------------

    def pickup(self) -> Iterator[Figure]:
        """How soon an idle worker begins a job, at an even trickle: from the call to the handler."""
        count = max(1, int(TRICKLE * self._plan.seconds))
        self._say("pickup latency, worker in another process")
        producer, worker = self._cast.player(), self._cast.player()
        producer.ask("open", workers=0)
        worker.ask("open", workers=1)
        yield from self._latency("other process", producer, worker, count)
        worker.ask("close")
        self._say("pickup latency, worker in the same process")
        both = producer
        both.ask("close")
        both.ask("open", workers=1)
        yield from self._latency("same process", both, both, count)
        both.ask("close")
        self._cast.dismiss((producer, worker))

    def _latency(self, where: str, producer: Any, worker: Any, count: int) -> Iterator[Figure]:
        calls = producer.ask("trickle", count=count, per_second=TRICKLE)["calls"]
        began = dict(map(tuple, worker.ask("stamps", count=count)["began"]))
        whole = [(began[number] - before) * 1000 for number, before, _ in calls]
        after = [(began[number] - returned) * 1000 for number, _, returned in calls]
        note = f"p50 {_quantile(after, 50):.2f} ms after the call returned"
        yield Figure(f"pickup p50, {where}", _quantile(whole, 50), "ms", note=note)
        note = f"p99 {_quantile(after, 99):.2f} ms after the call returned; worst {max(whole):.1f} ms"
        yield Figure(f"pickup p99, {where}", _quantile(whole, 99), "ms", note=note)

    def idle(self) -> Iterator[Figure]:
        """What an idle worker costs, with its lease and everything else at the default."""
        seconds = self._plan.idle_seconds
        self._say(f"idle cost, {seconds:g} s")
        worker = self._cast.player()
        worker.ask("count_transactions")
        worker.ask("open", workers=1)
        # PostgreSQL's sessions report what they did up to ten seconds late
        time.sleep(min(3.0 if self._ground.is_sqlite else 12.0, seconds))
        before, counted_before = worker.ask("usage"), self._ground.transactions()
        time.sleep(seconds)
        after, counted_after = worker.ask("usage"), self._ground.transactions()
        worker.ask("close")
        self._cast.dismiss((worker,))
        passed = after["at"] - before["at"]
        if counted_before is not None and counted_after is not None:
            transactions, counter = (
                float(counted_after - counted_before),
                "counted by the server for the whole database",
            )
        else:
            transactions, counter = after["transactions"] - before["transactions"], "counted in the worker"
        yield Figure("idle worker, transactions", transactions / passed, "per s", note=counter)
        share = 100 * (after["processor"] - before["processor"]) / passed
        yield Figure("idle worker, processor", share, "% of a core")
        yield Figure("idle worker, memory", after["megabytes"], "MB")

    # -- many of everything ----------------------------------------------------------------------------

    def growth(self) -> Iterator[Figure]:
        """See :class:`.growth.Growth`."""
        from .growth import Growth

        return Growth(self._plan, self._ground, self._cast, self._say).run()

    def scale(self) -> Iterator[Figure]:
        """See :class:`.scale.Scale`."""
        from .scale import Scale

        return Scale(self._plan, self._ground, self._cast, self._say).run()


MEASUREMENTS: dict[str, Callable[[Program], Iterator[Figure]]] = {
    "drain": Program.drain,
    "steady": Program.steady,
    "single": Program.single,
    "pickup": Program.pickup,
    "idle": Program.idle,
}
"""Names for ``--only``, in the order in which they are measured."""
LONGER: dict[str, Callable[[Program], Iterator[Figure]]] = {
    "growth": Program.growth,
    "scale": Program.scale,
}
"""Those that take minutes and are measured only when they are named."""


def _rate(jobs: int, span: dict[str, float]) -> float:
    return jobs / max(1e-9, span["ended_at"] - span["began_at"])


def _per_second(found: dict[str, float]) -> float:
    return found["jobs"] / found["seconds"]


def _against_floor(name: str, value: float, floor: float, note: str = "") -> Figure:
    return Figure(name, value, "jobs/s", floor, "floor", note)


def _quantile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
