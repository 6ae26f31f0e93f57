"""What a process makes of the registry of workers and agents."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from jobmaster.domain.status import WorkerMode
from jobmaster.engine.roster import Roster
from jobmaster.ports import WorkerInfo
from jobmaster.testing import FakeClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def worker(agent: str, lane: str = "default", mode: WorkerMode = WorkerMode.FULL) -> WorkerInfo:
    return WorkerInfo(uuid4(), "w", agent, lane, mode, "host", 1, NOW, NOW, 20)


def test_an_agent_that_stays_silent_is_asked_ever_more_seldom_until_it_answers() -> None:
    clock = FakeClock()
    roster = Roster(["north"], clock)
    pauses = []
    for _ in range(5):
        roster.down("north")
        roster.down("north")  # several calls find out at once: one silence
        began = clock.monotonic()
        while roster.is_down("north"):
            clock.advance(1)
        pauses.append(clock.monotonic() - began)
    assert pauses == [2, 4, 8, 15, 15]
    roster.down("north")
    roster.up("north")
    assert not roster.is_down("north")
    roster.down("north")
    clock.advance(2)
    assert not roster.is_down("north")


def test_what_a_drain_worker_empties_gets_nothing_new() -> None:
    roster = Roster(["north", "south"], FakeClock())
    full = [worker(agent, lane) for agent in ("north", "south") for lane in ("default", "mail")]
    roster.take([*full, worker("north", "mail", WorkerMode.DRAIN)], [])
    assert set(roster.serving("mail")) == {"south"}
    assert set(roster.serving("default")) == {"north", "south"}
    # without a lane of its own it empties the whole agent
    roster.take([*full, worker("north", mode=WorkerMode.DRAIN)], [])
    assert set(roster.serving("mail")) == set(roster.serving("default")) == {"south"}
    assert roster.lanes() == ["default", "mail"]
