"""What the benchmark reports, refuses and leaves behind. Never how fast anything is."""

from __future__ import annotations

import json
import re
import signal

import psutil
import pytest

from jobmaster import ClusterConfig
from jobmaster.cli.bench.result import Figure, figures_table
from tests.bench.conftest import TINY, Bench
from tests.databases import kind_of, use
from tests.leftovers import until_empty
from tests.servers.process import alive

AGAINST_FLOOR = {
    "bulk enqueue",
    "drain, one worker process",
    "steady, producer and worker",
    "single enqueue, one caller",
}
AGAINST_ONE = {"single enqueue, 64 tasks", "single enqueue, 64 threads"}
PICKUP = {f"pickup {quantile}, {where} process" for quantile in ("p50", "p99") for where in ("other", "same")}
IDLE = {"idle worker, transactions", "idle worker, processor", "idle worker, memory"}


def test_everything_is_measured_and_nothing_left(bench: Bench) -> None:
    ran = bench.run("--json", *TINY)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    figures = {figure["name"]: figure for figure in found["figures"]}
    assert figures.keys() == AGAINST_FLOOR | AGAINST_ONE | PICKUP | IDLE
    for name in AGAINST_FLOOR:
        assert figures[name]["unit"] == "jobs/s"
        assert figures[name]["compared_with"] == "floor"
        assert figures[name]["ratio"] == figures[name]["value"] / figures[name]["against"] > 0
    one = figures["single enqueue, one caller"]["value"]
    for name in AGAINST_ONE:
        assert figures[name]["against"] == one
    for name in PICKUP:
        assert figures[name]["unit"] == "ms"
        assert figures[name]["value"] > 0
    for where in ("other", "same"):
        p50, p99 = (figures[f"pickup {quantile}, {where} process"]["value"] for quantile in ("p50", "p99"))
        assert p50 <= p99
    for name in IDLE:
        assert figures[name]["value"] >= 0
    assert found["settings"] == {"jobs": 300, "rounds": 1, "seconds": 0.3, "idle_seconds": 0.5}
    facts = found["facts"]
    assert facts["cores"] >= 1
    if kind_of(bench.url) == "mysql":
        assert re.search(r"MySQL|Maria|Debian|Ubuntu", str(facts["engine"]))
        assert facts["innodb_flush_log_at_trx_commit"] == 1, "the durable default is measured"
    elif bench.path is None:
        assert facts["engine"].startswith("PostgreSQL ")
        assert (facts["fsync"], facts["synchronous_commit"]) == ("on", "on"), (
            "the durable default is measured"
        )
    else:
        assert facts["engine"].startswith("SQLite ")
        assert (facts["journal_mode"], facts["synchronous"]) == ("wal", 2)
    assert bench.tables == []
    assert bench.files == []


def test_one_measurement_is_shown_as_a_table(bench: Bench) -> None:
    ran = bench.run("--only", "single", *TINY)
    assert ran.returncode == 0, ran.stderr
    assert "single enqueue, 64 tasks" in ran.stdout
    assert "drain" not in ran.stdout
    assert "single enqueue" in ran.stderr, "it says what it is doing"


def test_a_database_in_use_keeps_what_it_holds(bench: Bench) -> None:
    config = ClusterConfig("mine")
    config = use(config, bench.url)
    cluster = config.add_handlers().build()
    job = cluster.scheduler.once_now("work", {"kept": True})
    cluster.close()
    before = bench.tables
    assert bench.figures("--only", "drain", *TINY).keys() == {"bulk enqueue", "drain, one worker process"}
    assert bench.tables == before
    assert cluster.scheduler.get_job(job.id).data == {"kept": True}
    cluster.close()


def test_what_a_killed_benchmark_left_is_taken_over(bench: Bench) -> None:
    with bench.start("--only", "idle", "--idle-seconds", "60") as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("idle cost")
        family = psutil.Process(process.pid).children(recursive=True)
        until_empty(lambda: [] if len(psutil.Process(process.pid).children()) == 1 else ["no child yet"])
        process.kill()
    assert until_empty(lambda: [str(child) for child in family if alive(child)]) == []
    assert "jmbench_job" in bench.tables
    assert bench.figures("--only", "drain", *TINY)
    assert not [name for name in bench.tables if name.startswith("jmbench_")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_benchmark_cleans_up(bench: Bench, number: signal.Signals) -> None:
    with bench.start("--only", "idle", "--idle-seconds", "60") as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("idle cost")
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        said = process.stderr.read()
    assert process.returncode == 130
    assert said == "jobmaster: interrupted\n"
    assert until_empty(lambda: [str(child) for child in family if alive(child)]) == []
    assert bench.tables == []
    assert bench.files == []


def refused(bench: Bench, *arguments: str) -> str:
    before = bench.tables
    ran = bench.run(*arguments, *TINY)
    assert ran.returncode == 2, ran
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert bench.tables == before, "a refusal changes nothing"
    return line


def test_two_benchmarks_at_once_are_refused(bench: Bench) -> None:
    with bench.start("--only", "idle", "--idle-seconds", "60") as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("idle cost")
        assert "another benchmark is using the tables jmbench_*" in refused(bench)
        process.send_signal(signal.SIGINT)
        process.stderr.read()


def test_foreign_tables_are_refused(bench: Bench) -> None:
    bench.execute("CREATE TABLE jmbench_holiday (photo int)")
    assert "holds a table 'jmbench_holiday' that is not the benchmark's" in refused(bench)


def test_tables_of_the_same_names_are_refused(bench: Bench) -> None:
    bench.execute("CREATE TABLE jmbench_job (photo int)")
    assert "are not of this release" in refused(bench)


def test_the_tables_of_a_cluster_are_refused(bench: Bench) -> None:
    config = ClusterConfig("mine").table_prefix("jmbench_")
    config = use(config, bench.url)
    cluster = config.add_handlers().build()
    cluster.scheduler.once_now("work", {"kept": True})
    cluster.close()
    assert "belong to cluster 'mine'" in refused(bench)
    bench.execute("UPDATE jmbench_meta SET value = 'jobmaster-bench' WHERE name = 'cluster_id'")
    assert "hold jobs that are not the benchmark's, such as 'work'" in refused(bench)


@pytest.mark.parametrize(
    ("url", "arguments", "said"),
    [
        ("sqlite:///{tmp}/x.db", ["--only", "luck"], "'luck' is not a measurement: there is drain"),
        ("sqlite:///{tmp}/x.db", ["--table-prefix", "no;"], "table prefix 'no;'"),
        ("sqlite:///{tmp}/nowhere/x.db", [], "nowhere"),
        ("oracle://somewhere/x", [], "not a database that jobmaster knows"),
        ("mysql://nobody:secret@127.0.0.1:1/x", [], "127.0.0.1:1"),
        ("postgresql://nobody:secret@127.0.0.1:1/x", [], "127.0.0.1:1"),
    ],
)
def test_refusals(tmp_path: object, url: str, arguments: list[str], said: str) -> None:
    ran = Bench(url.format(tmp=tmp_path)).run(*arguments)
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert said in line
    assert "secret" not in line


def test_a_figure_without_comparison_has_no_ratio() -> None:
    assert Figure("x", 1.0, "ms").ratio is None
    assert Figure("x", 1.0, "ms", 0.0, "floor").ratio is None
    assert Figure("x", 3.0, "jobs/s", 4.0, "floor").ratio == 0.75
    assert figures_table([Figure("x", 3.0, "jobs/s", 4.0, "floor")]).row_count == 1
