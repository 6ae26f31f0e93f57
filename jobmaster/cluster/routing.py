"""Where a new job goes: to the agent on which it waits least, else to the master, where it is held."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ..domain.alike import AlikeJobs, kinds_of
from ..domain.job import NewJob
from ..domain.placement import order_by_load
from ..domain.status import JobStatus
from ..engine.enqueuer import Enqueuer
from .backend import Agent, Backend

__all__ = ["Router", "Target"]

_PATIENCE = 0.5
"""Seconds for which an agent that certainly does not take a job is tried, where there are others."""
_SPREAD_FROM = 100
"""Jobs of one call from which on they are dealt out among agents."""


@dataclass(frozen=True, slots=True)
class Target:
    """A store that may take a job. ``agent`` is ``None`` for the master of a cluster with agents."""

    agent: str | None
    store: Agent
    enqueuer: Enqueuer
    status: JobStatus
    """What the job is once it is stored there."""


class Router:
    """Decides by the roster of this process; asks no store. Safe from any thread."""

    def __init__(self, backend: Backend, logger: logging.Logger) -> None:
        self._backend = backend
        timeout, clock = backend.operation_timeout, backend.clock
        if not backend.distributed:
            held = backend.held
            enqueuer = Enqueuer(held.transport, timeout, clock, logger)
            self._only: Target | None = Target(held.name, held, enqueuer, JobStatus.READY)
            self._targets: dict[str, Target] = {}
            self.held = self._only
            return
        self._only = None
        self._targets = {
            name: Target(
                name,
                agent,
                Enqueuer(agent.transport, timeout, clock, logger, patience=_PATIENCE),
                JobStatus.SAVE_PENDING,
            )
            for name, agent in backend.agents.items()
        }
        holder = backend.held
        self.held = Target(
            None,
            holder,
            Enqueuer(holder.transport, timeout, clock, logger, patience=_PATIENCE),
            JobStatus.HELD_ON_MASTER,
        )

    def close(self) -> None:
        """Store what is queued, then end all threads."""
        for target in (*self._targets.values(), self.held):
            target.enqueuer.close()

    def target_of(self, agent: str | None) -> Target:
        """The target of an agent, or of the master."""
        return self._targets.get(agent, self.held) if agent is not None else self.held

    def admit(self, new: NewJob) -> NewJob:
        """The job as it is enqueued: an agent that is being emptied can be asked for no more."""
        if new.agent is None or not self._backend.roster.is_draining(new.agent):
            return new
        return new._replace(agent=None)

    def targets(self, new: NewJob) -> list[Target]:
        """The stores to try for a job without a key, in this order; never empty."""
        if self._only is not None:
            return [self._only]
        due_in = self._due_in(new)
        if new.agent is not None:
            forgotten = self._backend.roster.is_forgotten(new.agent)
            if forgotten or not self._keeps(new.agent, due_in):
                return [self.held]
            return [self._targets[new.agent], self.held]
        if due_in > self._backend.threshold:
            return [self.held]
        names = [name for name in self._near(new.lane) if self._keeps(name, due_in)]
        spare = [target for target in self._spare(names) if self._keeps(target.agent, due_in)]
        return [*(self._targets[name] for name in names), self.held, *spare]

    def deal(self, news: Sequence[NewJob]) -> list[tuple[list[Target], Sequence[int]]]:
        """The jobs of one call, by the store that shall take them: the targets of each part and the places of
        its jobs in the call."""
        if self._only is not None:
            return [([self._only], range(len(news)))]
        dealt: list[tuple[list[Target], Sequence[int]]] = []
        for places in self._kept_alike(news):
            targets = self.targets(news[places[0]])
            serving = [target for target in targets if target.agent is not None]
            head = targets[: targets.index(self.held)] if self.held in targets else targets
            if len(places) < _SPREAD_FROM or len(head) < 2 or len(serving) < 2:
                dealt.append((targets, places))
                continue
            for number, part in enumerate(self._portions(news[places[0]].lane, head, places)):
                if part:
                    others = [target for target in targets if target is not head[number]]
                    dealt.append(([head[number], *others], part))
        return dealt

    def stored(self, target: Target, news: Sequence[NewJob]) -> None:
        """Jobs were given to a store by this process."""
        if target.agent is not None and self._backend.distributed:
            self._backend.roster.up(target.agent)
            each = len(news) if isinstance(news, AlikeJobs) else 1
            for new in kinds_of(news):
                self._backend.roster.sent(target.agent, new.lane, each)

    def failed(self, target: Target) -> None:
        """A store did not answer."""
        if target.agent is not None:
            self._backend.roster.down(target.agent)

    def _due_in(self, new: NewJob) -> timedelta:
        if new.run_at is None:
            return new.delay
        return new.run_at - self._backend.clock.now()

    def _keeps(self, agent: str | None, due_in: timedelta) -> bool:
        """Whether an agent takes a job that is due in so long."""
        if agent is None:
            return True
        return due_in <= self._backend.ahead_of(agent)

    def _keepers(self, new: NewJob) -> frozenset[str]:
        """The agents that take a job, by when it is due."""
        due_in = self._due_in(new)
        return frozenset(name for name in self._targets if self._keeps(name, due_in))

    def _kept_alike(self, news: Sequence[NewJob]) -> Iterable[Sequence[int]]:
        """The places of jobs that may go to the same stores."""
        if isinstance(news, AlikeJobs):
            return (range(len(news)),)
        parts: dict[tuple[str, str | None, frozenset[str]], list[int]] = {}
        for place, new in enumerate(news):
            parts.setdefault((new.lane, new.agent, self._keepers(new)), []).append(place)
        return parts.values()

    def _near(self, lane: str) -> list[str]:
        roster = self._backend.roster
        names = order_by_load(roster.serving(lane))
        names = [name for name in names if name in self._targets]
        return sorted(names, key=roster.is_down)

    def _spare(self, tried: Sequence[str]) -> list[Target]:
        """Agents that serve other lanes, as the last resort while the master is away: a job on one of them
        waits until it is taken to where its lane is served."""
        roster = self._backend.roster
        names = [
            name
            for name in self._targets
            if name not in tried
            and not (roster.is_draining(name) or roster.is_down(name) or roster.is_forgotten(name))
        ]
        random.shuffle(names)
        return [self._targets[name] for name in names]

    def _portions(self, lane: str, targets: Sequence[Target], places: Sequence[int]) -> list[list[int]]:
        """Consecutive runs of places, sized by the slots of the agents."""
        loads = self._backend.roster.serving(lane)
        weights = [float(loads[t.agent].slots) if t.agent in loads else 0.0 for t in targets]
        total = sum(weights) or 1.0
        runs: list[list[int]] = []
        start, passed = 0, 0.0
        for weight in weights:
            passed += weight
            end = round(len(places) * passed / total)
            runs.append(list(places[start:end]))
            start = end
        runs[0].extend(places[start:])
        return runs
