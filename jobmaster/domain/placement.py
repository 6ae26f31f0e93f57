"""Which agent gets a job: by the workers that live there, and by what waits for them already."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from .copies import AgentKey, JobCopy

__all__ = ["Load", "order_by_load", "portion", "shares_of"]


@dataclass(frozen=True, slots=True)
class Load:
    """One agent as seen from a lane. ``slots``: run slots of its live workers there; ``waiting``: jobs that
    are due and unclaimed there."""

    slots: int
    waiting: int = 0

    @property
    def per_slot(self) -> float:
        """How long a new job will wait, in units of one job per slot."""
        return (self.waiting + 1) / self.slots


def order_by_load(loads: Mapping[str, Load], toss: Callable[[], float] = random.random) -> list[str]:
    """The agents that serve a lane, the one on which a new job waits least first; ties by lot.

    Greedy choice of the shortest expected queue (*join the shortest queue*; Winston, 1977).
    """
    served = [name for name, load in loads.items() if load.slots > 0]
    return sorted(served, key=lambda name: (loads[name].per_slot, toss()))


def shares_of(loads: Mapping[str, Load], keys: Mapping[str, AgentKey]) -> dict[AgentKey, float]:
    """How a batch is split among agents: more to many slots and to short queues."""
    return {
        keys[name]: load.slots / (1.0 + load.waiting / load.slots)
        for name, load in loads.items()
        if load.slots > 0 and name in keys
    }


def portion(copies: Sequence[JobCopy], shares: Mapping[AgentKey, float]) -> dict[AgentKey, list[JobCopy]]:
    """Deal jobs out by shares, each to the agent that has got least of its share so far.

    A job whose caller asked for an agent goes to that one, and to nobody when it is not among them.
    """
    by_name = {agent.name: agent for agent in shares}
    given: dict[AgentKey, list[JobCopy]] = {agent: [] for agent in shares}
    for copy in copies:
        agent = by_name.get(copy.agent) if copy.agent is not None else _next(given, shares)
        if agent is not None:
            given[agent].append(copy)
    return {agent: part for agent, part in given.items() if part}


def _next(given: Mapping[AgentKey, Collection[JobCopy]], shares: Mapping[AgentKey, float]) -> AgentKey:
    return min(given, key=lambda agent: (len(given[agent]) + 1) / shares[agent])
