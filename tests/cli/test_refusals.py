"""A fault of the user is one sentence on standard error and exit code 2, never a traceback."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Project
from tests.databases import execute

RUN = ["run", "app:cluster", "--log-level", "error"]
NOBODY = "01935a3c-7d7e-7b4c-9d5e-0123456789ab"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("app", "write module:attribute"),
        ("app:", "write module:attribute"),
        ("../app:cluster", "write module:attribute"),
        ("nowhere:cluster", "there is no module 'nowhere'"),
        ("app.nowhere:cluster", "there is no module 'app.nowhere'"),
        ("app:nothing", "has no attribute 'nothing'"),
        ("app:number", "app:number is an int, not a Cluster"),
        ("app:Hello", "not a Cluster"),
        ("app:needs_more", "cannot be called without arguments"),
        ("app:coroutine", "is a coroutine function"),
        ("app:broken", "app:broken failed: RuntimeError: the vault is locked"),
        ("faulty:cluster", "module 'faulty' cannot be imported: ZeroDivisionError: division by zero"),
        ("unparsable:cluster", "module 'unparsable' cannot be imported: SyntaxError"),
        ("hungry:cluster", "module 'hungry' needs 'no_such_library'"),
        ("leaving:cluster", "module 'leaving' cannot be imported: SystemExit"),
    ],
)
def test_a_reference_that_leads_to_no_cluster(project: Project, reference: str, said: str) -> None:
    (project.folder / "faulty.py").write_text("x = 1\ncluster = x / 0\n")
    (project.folder / "unparsable.py").write_text("cluster = (\n")
    (project.folder / "hungry.py").write_text("import no_such_library\n")
    (project.folder / "leaving.py").write_text("raise SystemExit\n")
    assert said in project.run("status", reference).sentence


@pytest.mark.parametrize(
    "command", [["run"], ["check"], ["migrate"], ["workers"], ["jobs", "list", "--cluster"]]
)
def test_every_command_refuses_it(project: Project, command: list[str]) -> None:
    ran = project.run(*command, "app:number")
    assert ran.code == 2
    assert "app:number is an int" in " ".join((ran.out + ran.err).split())


def test_the_place_of_a_fault_in_the_users_module_is_told(project: Project) -> None:
    (project.folder / "faulty.py").write_text("x = 1\ncluster = x / 0\n")
    assert f"{project.folder}/faulty.py, line 2" in project.run("workers", "faulty:cluster").sentence


@pytest.mark.parametrize(
    "command", [["status"], ["workers"], ["check"], ["migrate"], ["run"], ["jobs", "list"]]
)
def test_no_cluster_named(project: Project, command: list[str]) -> None:
    assert "which cluster?" in project.run(*command).sentence


def test_several_clusters_named(project: Project) -> None:
    assert (
        "two clusters are named" in project.run("status", "app:cluster", "--cluster", "app:config").sentence
    )
    assert "not both" in project.run("status", "app:cluster", "--url", project.url).sentence


def test_every_fault_of_a_configuration_is_told(project: Project) -> None:
    said = project.run("run", "app:contradictory").sentence
    assert "2 problems" in said
    assert "lease" in said
    assert "lane 'no such lane'" in said


def test_a_cluster_without_workers_cannot_run(project: Project) -> None:
    assert "has no worker to run: call add_worker()" in project.run("run", "app:producer").sentence


@pytest.mark.parametrize("command", [["status"], ["workers"], ["jobs", "list"], ["jobs", "show", NOBODY]])
def test_a_database_that_is_not_there(project: Project, command: list[str]) -> None:
    missing = f"sqlite:///{project.folder}/missing.db"
    assert "there is no database file" in project.run(*command, "--url", missing).sentence
    assert not (project.folder / "missing.db").exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://nobody:secret@127.0.0.1:1/nowhere", "127.0.0.1:1"),
        ("oracle://somewhere/x", "not a database that jobmaster knows"),
        ("sqlite://", "in-memory SQLite"),
        ("postgresql://host:port/x", "cannot be read"),
    ],
)
def test_a_database_that_cannot_be_reached(project: Project, url: str, said: str) -> None:
    sentence = project.run("status", "--url", url).sentence
    assert said in sentence
    assert "secret" not in sentence


def test_an_unreachable_database_of_a_project(project: Project) -> None:
    project.url = "postgresql://nobody:secret@127.0.0.1:1/nowhere"
    for command in (["status", "app:cluster"], RUN, ["migrate", "app:cluster"]):
        sentence = project.run(*command).sentence
        assert "127.0.0.1:1" in sentence
        assert "secret" not in sentence


def test_a_database_without_tables(any_project: Project) -> None:
    if any_project.url.startswith("sqlite"):
        sqlite3.connect(any_project.url.removeprefix("sqlite:///")).close()
        Path(any_project.url.removeprefix("sqlite:///")).touch()
    assert (
        "holds no cluster under the table prefix 'jm_'"
        in any_project.run("status", "--url", any_project.url).sentence
    )


def test_a_file_that_is_no_database(project: Project) -> None:
    (project.folder / "notes.txt").write_text("no database\n" * 1000)
    for command in (["status"], ["migrate"], ["jobs", "list"]):
        assert (
            "not a database"
            in project.run(*command, "--url", f"sqlite:///{project.folder}/notes.txt").sentence
        )


def test_tables_of_a_newer_release(any_project: Project) -> None:
    assert any_project.run("migrate", "app:cluster").code == 0
    any_project.enqueue("hello", {"name": "x"})
    execute(any_project.url, "UPDATE jm_meta SET value = '999' WHERE name = 'schema'")
    for command in (["status", "app:cluster"], ["status", "--url", any_project.url], RUN):
        sentence = any_project.run(*command).sentence
        assert "999" in sentence
        assert "upgrade jobmaster" in sentence
    assert "999" in any_project.run("migrate", "app:cluster").sentence


def test_the_tables_of_another_cluster(project: Project) -> None:
    project.enqueue("hello", {"name": "x"})
    (project.folder / "other.py").write_text(
        "import app, jobmaster\n"
        "cluster = jobmaster.ClusterConfig('other').use_sqlite(app.os.environ['APP_URL']).build()\n"
    )
    assert "belong to cluster 'app'" in project.run("status", "other:cluster").sentence


@pytest.mark.parametrize("command", ["show", "cancel", "retry", "explain"])
def test_ids_of_no_job(project: Project, command: str) -> None:
    project.enqueue("hello", {"name": "x"})
    assert "'17' is not a job id" in project.run("jobs", command, "17", "--cluster", "app:cluster").sentence
    assert f"no job {NOBODY}" in project.run("jobs", command, NOBODY, "--cluster", "app:cluster").sentence


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--status", "lost"], "'lost' is not a status: there is live, save_pending"),
        (["--metadata", "novalue"], "must be KEY=VALUE"),
        (["--cursor", "x"], "cursor 'x'"),
        (["--lane", "no such lane"], "lane 'no such lane'"),
        (["--limit", "0"], "'--limit'"),
        (["--frobnicate"], "--frobnicate"),
        (["--url", "x.db", "--table-prefix", "a;b"], "table prefix 'a;b'"),
        (["--url", "x.db", "--schema", "a b"], "schema 'a b'"),
    ],
)
def test_filters_that_make_no_sense(project: Project, arguments: list[str], said: str) -> None:
    if "--url" not in arguments:
        project.enqueue("hello", {"name": "x"})
        arguments = [*arguments, "--cluster", "app:cluster"]
    assert said in project.run("jobs", "list", *arguments).sentence


def test_sqlite_has_no_schemas(project: Project) -> None:
    project.enqueue("hello", {"name": "x"})
    assert "SQLite has no schemas" in project.run("status", "--url", project.url, "--schema", "app").sentence


@pytest.mark.parametrize(
    ("arguments", "said"), [(["frob"], "no such command 'frob'"), (["jobs", "frob"], "'frob'")]
)
def test_unknown_commands(project: Project, arguments: list[str], said: str) -> None:
    assert said in project.run(*arguments).sentence


@pytest.mark.parametrize("arguments", [[], ["jobs"]])
def test_a_missing_command_shows_the_help(project: Project, arguments: list[str]) -> None:
    ran = project.run(*arguments)
    assert ran.code == 2
    assert "Commands:" in ran.err


@pytest.mark.parametrize("module", ["jobmaster", "jobmaster.cli"])
def test_a_module_exits_as_the_command_does(module: str, tmp_path: Path) -> None:
    for arguments, code in ((["--version"], 0), (["run", "nowhere:cluster"], 2)):
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
