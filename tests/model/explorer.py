"""Breadth-first search through all states of a model; what it finds comes with the shortest way there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

__all__ = ["Explored", "Step", "explore"]

S = TypeVar("S", bound=Hashable)


class Step(NamedTuple, Generic[S]):
    """One step: what happens, the state after it, and whether it is a fault, which nobody may count on."""

    label: str
    after: S
    fault: bool = False


@dataclass(frozen=True, slots=True)
class Explored:
    """How many states there are, and the first wrong one: what is wrong, and the steps to it."""

    states: int
    wrong: str | None = None
    path: tuple[str, ...] = ()


def explore(
    start: S,
    steps: Callable[[S], Iterable[Step[S]]],
    wrong: Callable[[S], str | None],
    done: Callable[[S], bool],
    most: int = 2_000_000,
) -> Explored:
    """Visit every state that can be reached. In each ``wrong`` must have nothing to say, and from each a
    state that is ``done`` must be reachable without another fault.

    Raises ``OverflowError`` beyond ``most`` states: then nothing is proven.
    """
    came: dict[S, tuple[S, str] | None] = {start: None}
    before: dict[S, list[S]] = {}
    todo, finished = deque([start]), []
    while todo:
        state = todo.popleft()
        if fault := wrong(state):
            return Explored(len(came), fault, _path(came, state))
        if done(state):
            finished.append(state)
        for step in steps(state):
            if step.after not in came:
                came[step.after] = (state, step.label)
                todo.append(step.after)
                if len(came) > most:
                    raise OverflowError(f"more than {most} states")
            if not step.fault:
                before.setdefault(step.after, []).append(state)
    hopeful, left = set(finished), deque(finished)
    while left:
        for state in before.get(left.popleft(), ()):
            if state not in hopeful:
                hopeful.add(state)
                left.append(state)
    for state in came:
        if state not in hopeful:
            return Explored(len(came), "it can never end from here", _path(came, state))
    return Explored(len(came))


def _path(came: dict[S, tuple[S, str] | None], state: S) -> tuple[str, ...]:
    labels: list[str] = []
    link = came[state]
    while link is not None:
        labels.append(link[1])
        link = came[link[0]]
    return tuple(reversed(labels))
