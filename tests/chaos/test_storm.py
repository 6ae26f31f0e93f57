"""A short storm on each backend; `nox -s chaos` has longer ones. A failing one is repeated by its seed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.chaos.storm import ground, storm
from tests.servers import ServerAbsent, absent


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("sqlite", marks=pytest.mark.sqlite),
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
        pytest.param("nats", marks=pytest.mark.nats),
    ],
)
def test_a_storm_loses_and_doubles_nothing(backend: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("JOBMASTER_TEST_SEED", time.time_ns() % 1_000_000))
    print(f"seed {seed}: nox -s chaos -- --runs 1 --strikes 3 --seed {seed} --backend {backend}")
    try:
        with ground(backend) as place:
            result = storm(place, seed, tmp_path, strikes=3)
    except ServerAbsent as reason:
        absent(backend, reason)
    assert result.problems == []
    assert result.jobs > 0
    assert (result.lost, result.overlaps) == (0, 0)
    assert result.faults.total() == 3
