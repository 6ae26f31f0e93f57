"""Who works where: the registry of workers and agents as this process last read it from the master."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence

from ..domain.copies import AgentKey
from ..domain.job import DEFAULT_LANE
from ..domain.placement import Load
from ..domain.status import WorkerMode
from ..ports import AgentRecord, Clock, WorkerInfo

__all__ = ["Roster"]

_RUNS = (WorkerMode.FULL, WorkerMode.EXECUTION)
_LEADS = (WorkerMode.FULL, WorkerMode.COORDINATOR)
_DOWN_FOR = 2.0
_LONGEST_DOWN = 15.0
"""Seconds for which an agent that did not answer is asked last: twice as long each time that it is silent
again, up to the longest."""


class Roster:
    """A snapshot that is replaced as a whole; safe from any thread."""

    def __init__(self, agents: Collection[str], clock: Clock) -> None:
        self._configured = tuple(agents)
        self._clock = clock
        self._lock = threading.Lock()
        self._loads: dict[str, dict[str, Load]] = {}
        self._sent: dict[tuple[str, str], int] = {}
        self._down_until: dict[str, float] = {}
        self._silences: dict[str, int] = {}
        self._unserved_since: dict[tuple[str, str], float] = {}
        self._draining: frozenset[str] = frozenset()
        self._forgotten: frozenset[str] = frozenset()
        self.keys: Mapping[str, AgentKey] = {}
        """The agents that the master knows, by name."""
        self.known = False
        """Whether the master was ever asked."""
        self.coordinated = False
        """Whether a worker lives that onboards held jobs."""

    def take(self, workers: Sequence[WorkerInfo], records: Sequence[AgentRecord]) -> None:
        """The registry as it is now."""
        draining = frozenset(record.name for record in records if record.draining)
        emptied = {
            (worker.agent_connection, worker.lane)
            for worker in workers
            if worker.alive and worker.mode is WorkerMode.DRAIN
        }
        loads: dict[str, dict[str, Load]] = {}
        for worker in workers:
            name = worker.agent_connection
            if not worker.alive or worker.mode not in _RUNS or name in draining:
                continue
            if name not in self._configured or name in self._forgotten:
                continue
            # a drain worker of the default lane empties every lane
            if (name, worker.lane) in emptied or (name, DEFAULT_LANE) in emptied:
                continue
            lane = loads.setdefault(worker.lane, {})
            seen = lane.get(name, Load(0))
            # each of them reports the same queue
            lane[name] = Load(seen.slots + worker.slots, max(seen.waiting, worker.backlog))
        now = self._clock.monotonic()
        unserved = {
            (name, lane): self._unserved_since.get((name, lane), now)
            for lane, served in loads.items()
            for name in self._configured
            if name not in served
        }
        with self._lock:
            self._loads = loads
            self._draining = draining
            self._sent = {}
            self._unserved_since = unserved
            self.keys = {record.name: record.key for record in records}
            self.coordinated = any(worker.alive and worker.mode in _LEADS for worker in workers)
            self.known = True

    def serving(self, lane: str) -> dict[str, Load]:
        """The agents whose live workers serve a lane, with what waits there by now."""
        with self._lock:
            return {
                name: Load(load.slots, load.waiting + self._sent.get((name, lane), 0))
                for name, load in self._loads.get(lane, {}).items()
            }

    def lanes(self) -> list[str]:
        """The lanes that live workers serve."""
        return sorted(self._loads)

    def sent(self, agent: str, lane: str, jobs: int) -> None:
        """This process has given jobs to an agent since the registry was read."""
        with self._lock:
            self._sent[agent, lane] = self._sent.get((agent, lane), 0) + jobs

    def is_draining(self, agent: str) -> bool:
        """Whether an agent is being emptied."""
        return agent in self._draining

    @property
    def draining(self) -> frozenset[str]:
        """The agents that are being emptied."""
        return self._draining

    def forget(self, agent: str) -> None:
        """An agent with which this process worked was given up."""
        self._forgotten |= {agent}

    def is_forgotten(self, agent: str) -> bool:
        """Whether an agent with which this process worked was given up since."""
        return agent in self._forgotten

    def unserved(self, agent: str, longer_than: float) -> list[str]:
        """The lanes that other agents serve and this one has not for so many seconds."""
        since = self._clock.monotonic() - longer_than
        with self._lock:
            return sorted(
                lane for (name, lane), at in self._unserved_since.items() if name == agent and at <= since
            )

    def down(self, agent: str) -> None:
        """An agent did not answer."""
        with self._lock:
            if self.is_down(agent):
                return
            silences = self._silences.get(agent, 0)
            self._silences[agent] = silences + 1
            pause = min(_LONGEST_DOWN, _DOWN_FOR * 2.0 ** min(silences, 10))
            self._down_until[agent] = self._clock.monotonic() + pause

    def up(self, agent: str) -> None:
        """It has answered."""
        if agent in self._silences:
            with self._lock:
                self._silences.pop(agent, None)
                self._down_until.pop(agent, None)

    def is_down(self, agent: str) -> bool:
        """Whether it did not answer a moment ago."""
        return self._down_until.get(agent, float("-inf")) > self._clock.monotonic()
