"""The models hold in every state; and each law, taken out, gives a counter-example."""

from __future__ import annotations

import pytest

from tests.model import claims, moves
from tests.model.explorer import Explored, Step, explore

CLAIM_FAULTS = {
    "fence": "a final state changed",
    "lease in claim": "can never end",
    "read back": "can never end",
    "trust window": "runs twice at once",
    "margin": "runs twice at once",
    "rescue": "can never end",
}
MOVE_FAULTS = {
    "placement first": "on two agents at once",
    "same agent": "on two agents at once",
    "certain": "on two agents at once",
    "repeat mark": "on two agents at once",
    "recheck": "ran again",
    "master knows first": "ran again",
    "first outcome": "taken twice",
}


def test_claims_hold_in_every_state() -> None:
    explored = claims.explore_claims(faults=1)
    assert (explored.wrong, explored.path) == (None, ())
    assert explored.states > 30_000


@pytest.mark.long
def test_claims_hold_with_two_faults() -> None:
    explored = claims.explore_claims(faults=2)
    assert (explored.wrong, explored.path) == (None, ())
    assert explored.states > 1_000_000


@pytest.mark.parametrize("law", CLAIM_FAULTS)
def test_claims_need_each_law(law: str) -> None:
    explored = claims.explore_claims(frozenset(claims.LAWS) - {law}, faults=1)
    assert explored.wrong is not None
    assert CLAIM_FAULTS[law] in explored.wrong
    assert explored.path


@pytest.mark.long
def test_a_start_mark_is_needed_to_charge_the_second_loss() -> None:
    explored = claims.explore_claims(frozenset(claims.LAWS) - {"start mark"}, faults=2)
    assert explored.wrong is not None
    assert "lost 2 times while it ran and charged 1" in explored.wrong


def test_moves_hold_in_every_state() -> None:
    explored = moves.explore_moves()
    assert (explored.wrong, explored.path) == (None, ())
    assert explored.states > 2_000


@pytest.mark.parametrize("law", MOVE_FAULTS)
def test_moves_need_each_law(law: str) -> None:
    explored = moves.explore_moves(frozenset(moves.LAWS) - {law})
    assert explored.wrong is not None
    assert MOVE_FAULTS[law] in explored.wrong
    assert explored.path


def test_every_law_is_taken_out_once() -> None:
    assert set(CLAIM_FAULTS) | {"start mark"} == set(claims.LAWS)
    assert set(MOVE_FAULTS) == set(moves.LAWS)


def test_the_explorer_finds_the_shortest_way_and_the_dead_end() -> None:
    def steps(state: int) -> list[Step[int]]:
        return [Step("one", state + 1), Step("two", state + 2, fault=True)] if state < 4 else []

    assert explore(0, steps, lambda state: None, lambda state: state >= 4) == Explored(6)
    assert explore(0, steps, lambda state: "bad" if state == 4 else None, bool).path == ("two", "two")
    # 5 is reached by a fault only, and nothing leads on from there
    stuck = explore(0, steps, lambda state: None, lambda state: state == 4)
    assert (stuck.wrong, stuck.path) == ("it can never end from here", ("one", "two", "two"))
    with pytest.raises(OverflowError):
        explore(0, lambda state: [Step("on", state + 1)], lambda state: None, bool, most=100)
