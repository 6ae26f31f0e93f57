"""`jobmaster bench --only growth` and `--only scale`: what they report and leave behind."""

from __future__ import annotations

from typing import Any

import pytest

from jobmaster.cli.bench import scale
from jobmaster.cli.bench.cast import Cast
from jobmaster.cli.bench.ground import Ground
from jobmaster.cli.bench.growth import _rate
from jobmaster.cli.bench.program import Plan
from jobmaster.cli.bench.result import Figure, figures_table
from jobmaster.cli.bench.scale import _middle_rate
from jobmaster.cli.refusal import Refusal
from tests.bench.conftest import Bench

FULL = [f"1,000 {kind}" for kind in ("finished", "held", "ready")]
SEARCHES = {"one definition", "metadata", "due in an hour"}


@pytest.mark.timeout(300)
def test_full_tables_are_compared_with_empty_ones(bench: Bench) -> None:
    figures = bench.figures(
        *("--only", "growth", "--rows", "1000", "--jobs", "100", "--rounds", "1", "--snapshot-seconds", "1"),
        within=290,
    )
    throughput = {f"{what}, {rows}" for what in ("drain", "bulk enqueue") for rows in FULL}
    searches = {f"find, {what}, {rows}" for what in SEARCHES for rows in FULL[:2]}
    searches.add("find, failed ones, 1,000 finished")
    series = {
        "steady with no snapshot held, last 0.25 s of 1",
        "steady with a snapshot held open, last 0.25 s of 1",
    }
    assert figures.keys() == throughput | searches | series | {"retention, 1,000 finished"}
    for name in throughput:
        assert figures[name]["compared_with"] == "empty"
        assert figures[name]["ratio"] == figures[name]["value"] / figures[name]["against"] > 0
    assert {figures[name]["unit"] for name in searches} == {"ms"}
    assert bench.tables == []
    assert bench.files == []


@pytest.mark.timeout(300)
def test_more_processes_agents_and_workers_are_compared(bench: Bench) -> None:
    figures = bench.figures("--only", "scale", "--jobs", "300", "--rounds", "1", within=290)
    assert list(figures) == [
        "drain, one worker process",
        "drain, 2 worker processes",
        "drain, 4 worker processes",
        "drain, 16 workers in 2 processes",
        "drain, 64 workers in 2 processes",
        "drain, one agent beside a master",
        "drain, 2 agents",
        "drain, 3 agents",
    ]
    assert all(figure["value"] > 0 for figure in figures.values())
    best = max(figures[name]["value"] for name in list(figures)[:3])
    assert figures["drain, 64 workers in 2 processes"]["against"] == best
    assert bench.tables == []
    assert bench.files == []


@pytest.mark.postgres
def test_several_workers_and_agents_share_a_drain(postgres_url: str) -> None:
    plan = Plan(200, 1, 1.0, 1.0, frozenset({"scale"}))
    with Ground(postgres_url, "jmbench_") as ground, Cast(postgres_url, "jmbench_", None) as cast:
        made = scale.Scale(plan, ground, cast, lambda text: None)
        made._fill_rate = 400.0
        assert made._by_workers(4) > 0
        assert made._by_agents(2) > 0
    assert Bench(postgres_url).tables == []


@pytest.mark.sqlite
def test_a_file_of_somebody_else_is_not_taken_for_an_agents(sqlite_url: str) -> None:
    bench = Bench(sqlite_url)
    assert bench.path is not None
    other = bench.path.with_name(f"{bench.path.name}-a1")
    other.write_bytes(b"")
    ran = bench.run("--only", "single", "--seconds", "0.1")
    assert ran.returncode != 0
    assert "is not the benchmark's: move it away" in " ".join(ran.stderr.split())
    assert other.exists()


@pytest.mark.sqlite
@pytest.mark.parametrize("what", ["growth", "scale"])
def test_nats_is_not_measured_so(sqlite_url: str, what: str) -> None:
    ran = Bench("nats://127.0.0.1:4").run("--master", sqlite_url, "--only", what)
    assert ran.returncode != 0
    assert f"{what} is a measurement of databases" in " ".join(ran.stderr.split())


def test_the_middle_of_a_drain_counts() -> None:
    seen = [(0.0, 0), (1.0, 0), (2.0, 100), (3.0, 200), (3.5, 1000)]
    # 200 are reached at 3.0, and 800 at three quarters of the half second that follows
    assert _middle_rate(seen, 1000) == pytest.approx(600 / 0.375)


def test_a_window_of_a_series() -> None:
    seen = [(float(second), 10 * second, 0) for second in range(11)]
    assert _rate(seen, 0.0, 2.5) == 10.0
    assert _rate([*seen, (12.0, 200, 0)], 9.0, 12.0) == pytest.approx(110 / 3)


def test_shares_and_multiples_are_told_apart() -> None:
    drain = Figure("drain", 95.0, "jobs/s", 100.0, "empty")
    find = Figure("find", 4.0, "ms", 2.0, "1,000 rows")
    last = Figure("steady", 90.0, "jobs/s", 100.0, "the first 5 s")
    ratios = [str(cell) for cell in figures_table([drain, find, last]).columns[5].cells]
    assert ratios == ["95%", "2.0 ×", "90%"]


def test_a_drain_that_stands_still_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Still:
        def begin(self, do: str) -> None:
            assert do == "runs"

        def answer(self) -> dict[str, float]:
            return {"runs": 3}

    monkeypatch.setattr(scale, "_PATIENCE", 0.05)
    nowhere: Any = None
    still: Any = Still()
    with pytest.raises(Refusal, match="3 of 10 have run"):
        scale.Scale(nowhere, nowhere, nowhere, nowhere)._watched([still], 10)
