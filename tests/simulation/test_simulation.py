"""Seeded simulations: faults at every step, everything checked at every commit, one seed one history."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jobmaster.ports import Rescue
from jobmaster.testing.memory import MemorySettlement

from .ledger import Violated
from .world import Report, Scene, simulate

ALONE = Scene()
WITH_AGENTS = Scene(agents=2)
PROJECT = Path(__file__).resolve().parents[2]


def first_seed() -> int:
    """Where the seeds of this session begin: always the same ones unless asked for others."""
    return int(os.environ.get("JOBMASTER_TEST_SEED", 0))


@pytest.mark.parametrize("scene", [ALONE, WITH_AGENTS], ids=["standalone", "agents"])
def test_nothing_is_lost_doubled_or_stuck(scene: Scene) -> None:
    faults = 0
    for seed in range(first_seed(), first_seed() + 6):
        report = simulate(seed, scene)
        assert report.jobs == scene.jobs
        assert report.runs >= report.jobs - report.faults["cancelled"]
        faults += report.faults.total()
    assert faults > 120


@pytest.mark.long
@pytest.mark.parametrize(
    "scene",
    [
        pytest.param(ALONE, id="standalone"),
        pytest.param(WITH_AGENTS, id="agents"),
        pytest.param(replace(WITH_AGENTS, slow_rate=0.02, fault_every=0.6), id="slow"),
        pytest.param(replace(ALONE, processes=6, workers=2, jobs=400, fault_every=0.4), id="crowd"),
    ],
)
def test_a_thousand_seeds(scene: Scene) -> None:
    for seed in range(first_seed(), first_seed() + 1000):
        simulate(seed, scene)


@pytest.mark.long
def test_hundreds_of_workers_and_thousands_of_jobs() -> None:
    """400 workers in 20 processes."""
    scene = Scene(
        processes=20,
        workers=20,
        jobs=5_000,
        batches=40,
        storm=20.0,
        lease=15.0,
        fault_every=2.0,
        error_rate=0.002,
        checked_every=2_000,
        patience=1200.0,
    )
    report = simulate(first_seed(), scene)
    print(report)
    assert report.jobs == scene.jobs


def digest_elsewhere(seed: int, hash_seed: str) -> str:
    """The trace of a seed in a fresh interpreter that orders sets of texts differently."""
    program = (
        "from tests.simulation.world import simulate, Scene\n"
        f"print(simulate({seed}, Scene(agents=2, jobs=40, storm=8.0)).trace)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_one_seed_gives_one_history() -> None:
    scene = Scene(agents=2, jobs=40, storm=8.0)
    first, again, other = simulate(5, scene), simulate(5, scene), simulate(6, scene)
    assert isinstance(first, Report)
    assert first == again
    assert first.trace != other.trace
    assert digest_elsewhere(5, "1") == digest_elsewhere(5, "2") == first.trace


def test_a_violation_says_how_to_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rescue that never comes leaves jobs stuck, and the message carries the seed and the scene."""
    monkeypatch.setattr(MemorySettlement, "rescue", lambda *_: Rescue(0, 0, 0))
    with pytest.raises(Violated, match=r"seed 3, Scene\(processes=3.*jobs have not ended"):
        simulate(3, replace(ALONE, jobs=40, storm=8.0, patience=30.0))
