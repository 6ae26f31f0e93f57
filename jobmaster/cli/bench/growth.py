"""What very many rows, and a transaction that nobody ends, cost the path of a job."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ...agents.same_database import SameDatabaseSettlement
from .jobs import STAMP
from .result import Figure
from .rows import AGE_DAYS

if TYPE_CHECKING:
    from .cast import Cast, Player
    from .ground import Ground
    from .program import Plan

__all__ = ["Growth"]

_BATCH = 1000
_AHEAD = 5000
"""Jobs that a producer keeps waiting for a worker."""
_FEW = 1000
"""Rows with which a search is measured for comparison."""
_SEARCHES = 11
_CHUNKS = 20
_CHUNK = 1000
"""Finished jobs per transaction of retention, as coordinators delete them."""
_WARM = 2.0
"""Seconds before a series is looked at."""
_QUESTIONS: dict[str, dict[str, Any]] = {
    "failed ones": {"status": "failed"},
    "one definition": {"definition_id": STAMP},
    "metadata": {"metadata": {"customer": "c-7"}},
    "due in an hour": {},
}


class Growth:
    """Compares full tables with empty ones, in turn: empty, full, empty."""

    def __init__(self, plan: Plan, ground: Ground, cast: Cast, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._ground = ground
        self._cast = cast
        self._say = say

    def run(self) -> Iterator[Figure]:
        """All of it."""
        player = self._cast.player()
        before = self._throughput(player, "empty")
        for kind in ("finished", "held", "ready"):
            self._fill(kind, self._plan.rows)
            full = self._throughput(player, f"{self._plan.rows:,} {kind}")
            rest = [] if kind == "ready" else list(self._looked_and_cleaned(player, kind))
            self._ground.empty()
            after = self._throughput(player, "empty")
            for name in ("drain", "bulk enqueue"):
                empty = statistics.mean((before[name], after[name]))
                note = f"empty {before[name]:,.0f} before, {after[name]:,.0f} after"
                yield Figure(self._named(name, kind), full[name], "jobs/s", empty, "empty", note)
            yield from rest
            before = after
        self._cast.dismiss((player,))
        self._ground.empty()
        for held in (False, True):
            yield self._series(held)
            self._ground.empty()

    def _named(self, name: str, kind: str) -> str:
        return f"{name}, {self._plan.rows:,} {kind}"

    def _fill(self, kind: str, count: int) -> None:
        self._ground.empty()
        self._ground.grow(kind, count, self._say)

    # -- throughput ------------------------------------------------------------------------------------

    def _throughput(self, player: Player, with_what: str) -> dict[str, float]:
        """Bulk enqueue and drain, from the first handler's start to the last one's."""
        jobs = self._plan.jobs
        rates: dict[str, list[float]] = {"drain": [], "bulk enqueue": []}
        for number in range(1, self._plan.rounds + 1):
            self._say(f"{with_what}: bulk enqueue and drain, round {number} of {self._plan.rounds}")
            player.ask("open", workers=0)
            rates["bulk enqueue"].append(jobs / player.ask("fill", count=jobs, batch=_BATCH)["seconds"])
            player.ask("close")
            span = player.ask("run_some", count=jobs)
            rates["drain"].append(jobs / max(1e-9, span["ended_at"] - span["began_at"]))
            player.ask("close")
        return {name: statistics.median(found) for name, found in rates.items()}

    # -- the other things that read or delete rows -----------------------------------------------------

    def _looked_and_cleaned(self, player: Player, kind: str) -> Iterator[Figure]:
        """The first page of fifty of several questions, with all rows and with a few; and deleting what ended
        long ago, as coordinators do it, from a long history and from a short one."""
        many = self._searches(player, kind)
        long = self._cleaned("a long history") if kind == "finished" else None
        self._fill(kind, _FEW)
        few = self._searches(player, kind)
        for question, seconds in many.items():
            name = self._named(f"find, {question}", kind)
            yield Figure(name, seconds * 1000, "ms", few[question] * 1000, f"{_FEW:,} rows")
        if long is not None:
            few_to_clean = min(self._plan.rows, 4 * _CHUNKS * _CHUNK)
            self._fill(kind, few_to_clean)
            short = self._cleaned("a short history")
            yield Figure(self._named("retention", kind), long, "jobs/s", short, f"{few_to_clean:,} rows")

    def _searches(self, player: Player, kind: str) -> dict[str, float]:
        self._say(f"searches, {kind} rows")
        player.ask("open", workers=0)
        seconds: dict[str, float] = {}
        for question, criteria in _QUESTIONS.items():
            if "status" in criteria and kind != "finished":
                continue
            asked = criteria or {"scheduled_from_in": -3600.0, "scheduled_to_in": 3600.0}
            player.ask("find", times=2, **asked)
            seconds[question] = player.ask("find", times=_SEARCHES, **asked)["seconds"]
        player.ask("close")
        return seconds

    def _cleaned(self, what: str) -> float:
        self._say(f"retention, {what}")
        settlement = SameDatabaseSettlement(self._ground.database)
        began = time.perf_counter()
        cut = timedelta(days=AGE_DAYS / 2)
        deleted = sum(settlement.clean(cut, _CHUNK) for _ in range(_CHUNKS))
        return deleted / (time.perf_counter() - began)

    # -- a snapshot that is held open ------------------------------------------------------------------

    def _series(self, held: bool) -> Figure:
        """A producer and a worker side by side; the jobs per second of the last quarter against the first."""
        seconds = self._plan.snapshot_seconds
        what = "a snapshot held open" if held else "no snapshot held"
        self._say(f"steady for {seconds:g} s, {what}")
        producer, worker = self._cast.player(), self._cast.player()
        producer.ask("open", workers=0)
        worker.ask("reckon")
        worker.ask("open", workers=1)
        seen = self._steadily(producer, worker, _WARM)
        with self._ground.snapshot() if held else nullcontext():
            seen = self._steadily(producer, worker, seconds, seen[-1])
        worker.ask("close")
        self._cast.dismiss((producer, worker))
        window = seconds / 4
        first = _rate(seen, seen[0][0], seen[0][0] + window)
        last = _rate(seen, seen[-1][0] - window, seen[-1][0])
        name = f"steady with {what}, last {window:g} s of {seconds:g}"
        return Figure(name, last, "jobs/s", first, f"the first {window:g} s")

    def _steadily(
        self, producer: Player, worker: Player, seconds: float, since: tuple[float, int, int] | None = None
    ) -> list[tuple[float, int, int]]:
        """Keep some jobs waiting; time, runs and enqueued jobs, again and again."""
        enqueued = 0 if since is None else since[2]
        seen: list[tuple[float, int, int]] = []
        until = time.time() + seconds
        for _ in itertools.count():
            answer = worker.ask("runs")
            seen.append((answer["at"], int(answer["runs"]), enqueued))
            if answer["at"] >= until:
                return seen
            if enqueued - seen[-1][1] < _AHEAD:
                producer.ask("fill", count=_BATCH, batch=_BATCH)
                enqueued += _BATCH
            else:
                time.sleep(0.005)
        raise AssertionError("unreachable")


def _rate(seen: list[tuple[float, int, int]], begin: float, end: float) -> float:
    inside = [(at, runs) for at, runs, _ in seen if begin <= at <= end]
    (first_at, first), (last_at, last) = inside[0], inside[-1]
    return (last - first) / max(1e-9, last_at - first_at)
