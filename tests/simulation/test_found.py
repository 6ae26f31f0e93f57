"""Counter-examples that simulations have found, each with its seed, and the defect behind it."""

from __future__ import annotations

import pytest

from jobmaster.engine.worker import Worker

from .ledger import Violated
from .world import Scene, simulate

FREEZING = Scene(concurrency=2, fault_every=0.7)
SEEDS = (11, 14, 16, 19)
"""Seeds with which a worker thaws like that. Which of them do so changes with the steps of the engine."""


def simulate_freezes() -> None:
    for seed in SEEDS:
        simulate(seed, FREEZING)


def test_a_worker_that_thaws_begins_nothing_that_it_had_queued() -> None:
    """The first handler to end after a freeze beyond the lease freed a slot, and a queued job that had ended
    elsewhere began."""
    simulate_freezes()


def test_what_ended_while_the_store_was_read_is_not_given_back() -> None:
    """Seed 1016 with agents: a claim whose end waited to be stored was taken for a stranger when the worker
    read its buckets, and given back uncharged since the master could not be asked about it; it ran again
    under the number of the run that had ended."""
    simulate(1016, Scene(agents=2))


def test_it_is_the_look_at_the_lease_that_prevents_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "_trusts_claims", lambda worker, at: True)
    with pytest.raises(Violated, match="has a claim number that is not above"):
        simulate_freezes()


def test_what_a_master_has_placed_is_not_rescued_there() -> None:
    """Seed 30 with agents: the rescue of a master in memory took jobs that live on agents for orphans."""
    simulate(30, Scene(agents=2))


def test_claims_that_the_master_could_not_be_asked_about_are_handed_back() -> None:
    """Seed 14 with agents: an agent in memory kept them claimed, though the worker never heard of them."""
    simulate(14, Scene(agents=2))
