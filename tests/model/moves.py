"""One job between a master and two agents: place, deliver, repeat, give back, run, ship.

Two coordinators, each with at most one delivery under way; a call to an agent may be late, may fail for
certain, or may lose its answer. Whoever claims a copy asks the master, which is the only one to know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .explorer import Explored, Step, explore

__all__ = ["LAWS", "explore_moves"]

LAWS = {
    "placement first": "the master commits which agent gets a job before that agent does (PROTOCOL 5)",
    "same agent": "a placement that nobody confirmed is repeated on the same agent (PROTOCOL 5)",
    "certain": "a job is given to another agent only if the first has certainly not taken it (PROTOCOL 2.1)",
    "repeat mark": "what somebody repeats is not given back by who had made it (PROTOCOL 5)",
    "recheck": "a copy that was moved runs only if the master says that it lives there (PROTOCOL 1)",
    "master knows first": "an outcome leaves the agent only when the master has it (PROTOCOL 4)",
    "first outcome": "the master keeps the first outcome of a job (PROTOCOL 4)",
}
COORDINATORS, AGENTS, FAULTS = 2, 2, 3


class Delivery(NamedTuple):
    """What a coordinator has in hand: a placement, and how far it got: ``made``, ``arrived``, ``failed``."""

    agent: int
    placement: int
    stage: str = "made"
    repeated: bool = False


class Copy(NamedTuple):
    """The job on an agent: ``waiting``, ``running`` or ``ended``."""

    placement: int
    state: str = "waiting"


class World(NamedTuple):
    """Everything."""

    holder: int | None = None
    """The agent that has it, as the master knows; ``None``: held."""
    placement: int = 0
    confirmed: bool = False
    marked: bool = False
    """Whether somebody repeats this placement."""
    outcomes: int = 0
    """How many outcomes the master has taken."""
    coordinators: tuple[Delivery | None, ...] = (None,) * COORDINATORS
    copies: tuple[Copy | None, ...] = (None,) * AGENTS
    faults: int = FAULTS
    runs: int = 0


def explore_moves(laws: frozenset[str] = frozenset(LAWS)) -> Explored:
    """All states under these laws."""
    return explore(World(), lambda world: _steps(world, laws), _wrong, lambda world: world.outcomes > 0)


def _wrong(world: World) -> str | None:
    if [copy.state for copy in world.copies if copy is not None].count("running") > 1:
        return "the job runs on two agents at once"
    if world.outcomes > 1:
        return "the outcome of the job was taken twice"
    if world.runs > 1:
        return "the job ran again though no worker was lost"
    return None


def _steps(world: World, laws: frozenset[str]) -> Iterator[Step[World]]:
    for number, delivery in enumerate(world.coordinators):
        if delivery is None:
            yield from _begin(world, number, laws)
        else:
            yield from _go_on(world, number, delivery, laws)
    for agent, copy in enumerate(world.copies):
        if copy is not None:
            yield from _live(world, agent, copy, laws)


def _begin(world: World, number: int, laws: frozenset[str]) -> Iterator[Step[World]]:
    if world.outcomes:
        return
    if world.holder is None:
        for agent in range(AGENTS):
            placed = world
            if "placement first" in laws:
                placed = world._replace(
                    holder=agent, placement=world.placement + 1, confirmed=False, marked=False
                )
            mine = Delivery(agent, world.placement + 1)
            yield Step(f"coordinator {number} places it on agent {agent}", _with(placed, number, mine))
    elif world.holder is not None and not world.confirmed:
        agents = (world.holder,) if "same agent" in laws else range(AGENTS)
        for agent in agents:
            repeated = world._replace(holder=agent, marked=world.marked or "repeat mark" in laws)
            mine = Delivery(agent, world.placement, repeated=True)
            yield Step(f"coordinator {number} repeats it on agent {agent}", _with(repeated, number, mine))


def _go_on(world: World, number: int, mine: Delivery, laws: frozenset[str]) -> Iterator[Step[World]]:
    agent = mine.agent
    if mine.stage == "made":
        received = _receive(world, agent, mine.placement)
        arrived = _with(received, number, mine._replace(stage="arrived"))
        yield Step(f"agent {agent} takes what coordinator {number} brings", arrived)
        if world.faults:
            hurt = world._replace(faults=world.faults - 1)
            failed = _with(hurt, number, mine._replace(stage="failed"))
            yield Step(
                f"agent {agent} certainly does not take what coordinator {number} brings", failed, True
            )
            unsure = _receive(hurt, agent, mine.placement)
            stage = None if "certain" in laws else mine._replace(stage="failed")
            yield Step(
                f"agent {agent} takes it, and coordinator {number} does not hear",
                _with(unsure, number, stage),
                True,
            )
            yield Step(f"coordinator {number} dies", _with(hurt, number, None), True)
    elif mine.stage == "arrived":
        current = world.holder == agent and world.placement == mine.placement
        if "placement first" not in laws and world.holder is None:
            world, current = world._replace(holder=agent, placement=mine.placement), True
        confirmed = world._replace(confirmed=world.confirmed or current)
        yield Step(f"coordinator {number} confirms", _with(confirmed, number, None))
    else:
        mayhold = world.holder == agent and world.placement == mine.placement and not world.outcomes
        if mayhold and not mine.repeated and not (world.marked and "repeat mark" in laws):
            held = world._replace(holder=None, placement=world.placement + 1, confirmed=False)
            yield Step(f"coordinator {number} gives it back", _with(held, number, None))
        else:
            yield Step(f"coordinator {number} leaves it", _with(world, number, None))


def _receive(world: World, agent: int, placement: int) -> World:
    there = world.copies[agent]
    if there is not None and (there.placement >= placement or there.state != "waiting"):
        return world
    return _with_copy(world, agent, Copy(placement))


def _live(world: World, agent: int, copy: Copy, laws: frozenset[str]) -> Iterator[Step[World]]:
    if copy.state == "waiting":
        lives_here = world.holder == agent and not world.outcomes
        if lives_here or "recheck" not in laws:
            running = _with_copy(world, agent, copy._replace(state="running"))
            yield Step(f"it starts on agent {agent}", running._replace(runs=world.runs + 1))
        else:
            yield Step(f"agent {agent} drops its copy", _with_copy(world, agent, None))
    elif copy.state == "running":
        yield Step(f"it ends on agent {agent}", _with_copy(world, agent, copy._replace(state="ended")))
        return
    elif "master knows first" not in laws and world.faults:
        gone = _with_copy(world, agent, None)._replace(faults=world.faults - 1)
        yield Step(f"agent {agent} forgets the outcome, and its saver dies", gone, True)
    if copy.state == "ended":
        taken = _record(world, agent, copy, laws)
        yield Step(f"the outcome on agent {agent} is shipped", _with_copy(taken, agent, None))
        if world.faults:
            lost = taken._replace(faults=world.faults - 1)
            yield Step(f"the saver of agent {agent} dies between master and agent", lost, True)


def _record(world: World, agent: int, copy: Copy, laws: frozenset[str]) -> World:
    if world.outcomes and "first outcome" in laws:
        return world
    if world.outcomes == 0 and (world.holder != agent or world.placement > copy.placement):
        # the job lives elsewhere by now
        return world
    return world._replace(outcomes=world.outcomes + 1)


def _with(world: World, number: int, mine: Delivery | None) -> World:
    hands = world.coordinators
    return world._replace(coordinators=(*hands[:number], mine, *hands[number + 1 :]))


def _with_copy(world: World, agent: int, copy: Copy | None) -> World:
    return world._replace(copies=(*world.copies[:agent], copy, *world.copies[agent + 1 :]))
