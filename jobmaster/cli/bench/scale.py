"""What more worker processes, more agents and more workers bring, or cost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..refusal import Refusal
from .jobs import agent_names
from .result import Figure

if TYPE_CHECKING:
    from .cast import Cast, Player
    from .ground import Ground
    from .program import Plan

__all__ = ["Scale"]

_BATCH = 1000
_LEAD = 2.0
"""Seconds from the last enqueue to the moment at which all jobs are due: all workers begin at once."""
_TRIED = 2000
"""Jobs with which it is tried how long enqueueing takes."""
_LOOK_EVERY = 0.01
_PATIENCE = 120.0
"""Seconds without a run after which it is given up."""
_MIDDLE = (0.2, 0.8)
"""The share of the jobs that is measured: before it some workers have not begun, after it some idle."""
_CROWD_PROCESSES = 2
_ENOUGH = 4
"""Times the planned number of jobs: each of 64 workers must fill its queue more than once, and what they are
compared with is given as many."""


class Scale:
    """Drains the same number of jobs with more and more that work on it."""

    def __init__(self, plan: Plan, ground: Ground, cast: Cast, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._ground = ground
        self._cast = cast
        self._say = say
        self._fill_rate = 0.0

    def run(self) -> Iterator[Figure]:
        """All of it."""
        self._fill_rate = self._tried()
        processes = self._rates((1, 2, 4), "worker processes", self._by_processes)
        best = max(processes.values())
        for count, rate in processes.items():
            name = "drain, one worker process" if count == 1 else f"drain, {count} worker processes"
            yield Figure(name, rate, "jobs/s", processes[1], "one worker process")
        for count, rate in self._rates((16, 64), "workers in two processes", self._by_workers).items():
            name = f"drain, {count} workers in {_CROWD_PROCESSES} processes"
            yield Figure(name, rate, "jobs/s", best, "the best number of processes")
        agents = self._rates((1, 2, 3), "agents beside a master", self._by_agents)
        for count, rate in agents.items():
            name = "drain, one agent beside a master" if count == 1 else f"drain, {count} agents"
            yield Figure(name, rate, "jobs/s", agents[1], "one agent")

    def _tried(self) -> float:
        """Jobs that a producer enqueues per second: none must be due before the last one is there."""
        self._ground.empty()
        producer = self._cast.player()
        producer.ask("open", workers=0)
        seconds = producer.ask("fill", count=_TRIED, batch=_BATCH)["seconds"]
        producer.ask("close")
        self._cast.dismiss((producer,))
        return float(_TRIED / seconds)

    def _rates(self, counts: Sequence[int], what: str, measure: Callable[[int], float]) -> dict[int, float]:
        """The middle of all rounds, in turn, so that a slow moment meets all of them."""
        found: dict[int, list[float]] = {count: [] for count in counts}
        for number in range(1, self._plan.rounds + 1):
            for count in counts:
                self._say(f"drain, {count} {what}, round {number} of {self._plan.rounds}")
                found[count].append(measure(count))
        return {count: statistics.median(rates) for count, rates in found.items()}

    def _by_processes(self, count: int) -> float:
        self._ground.empty()
        players = [self._cast.player() for _ in range(count)]
        for player in players:
            player.ask("open", workers=1)
        return self._drained(players, self._plan.jobs * _ENOUGH)

    def _by_workers(self, count: int) -> float:
        self._ground.empty()
        players = [self._cast.player() for _ in range(_CROWD_PROCESSES)]
        for player in players:
            player.ask("open", workers=count // _CROWD_PROCESSES)
        return self._drained(players, self._plan.jobs * _ENOUGH)

    def _by_agents(self, count: int) -> float:
        self._ground.empty()
        names = agent_names(count)
        players = [self._cast.player() for _ in names]
        try:
            for player, name in zip(players, names, strict=True):
                player.ask("open_with_agents", agents=count, serves=name)
            return self._drained(players, self._plan.jobs, names)
        finally:
            self._ground.drop_agents()

    def _drained(self, players: list[Player], jobs: int, names: list[str] | None = None) -> float:
        """Enqueue jobs for a moment that comes, in equal shares on agents, and watch them run."""
        producer = self._cast.player()
        if names is None:
            producer.ask("open", workers=0)
        else:
            producer.ask("open_with_agents", agents=len(names), serves=None)
        for player in players:
            player.ask("reckon")
        due_at = time.time() + 2 * jobs / self._fill_rate + _LEAD
        given: list[str | None] = [None] if names is None else [*names]
        shares = [jobs // len(given)] * len(given)
        shares[0] += jobs - sum(shares)
        for name, share in zip(given, shares, strict=True):
            producer.ask("fill", count=share, batch=_BATCH, due_at=due_at, agent=name)
        seen = self._watched(players, jobs)
        for player in (*players, producer):
            player.ask("close")
        self._cast.dismiss((*players, producer))
        return _middle_rate(seen, jobs)

    def _watched(self, players: list[Player], jobs: int) -> list[tuple[float, int]]:
        """Time and runs so far, until all jobs have run. Raises :class:`Refusal` when none runs any more."""
        seen: list[tuple[float, int]] = []
        moved_at = time.perf_counter()
        while not seen or seen[-1][1] < jobs:
            for player in players:
                player.begin("runs")
            runs = sum(int(player.answer()["runs"]) for player in players)
            now = time.perf_counter()
            if not seen or runs > seen[-1][1]:
                moved_at = now
            elif now - moved_at > _PATIENCE:
                raise Refusal(f"no job began for {_PATIENCE:g} s: {runs:,} of {jobs:,} have run")
            seen.append((now, runs))
            time.sleep(_LOOK_EVERY)
        return seen


def _middle_rate(seen: list[tuple[float, int]], jobs: int) -> float:
    """Jobs per second between two shares of them, between looks by proportion."""
    begin, end = (_when(seen, share * jobs) for share in _MIDDLE)
    return (_MIDDLE[1] - _MIDDLE[0]) * jobs / max(1e-9, end - begin)


def _when(seen: list[tuple[float, int]], runs: float) -> float:
    before = seen[0]
    for look in seen:
        if look[1] >= runs:
            if look[1] == before[1]:
                return look[0]
            return before[0] + (look[0] - before[0]) * (runs - before[1]) / (look[1] - before[1])
        before = look
    raise ValueError(f"there were never {runs} runs")
