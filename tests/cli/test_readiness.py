"""`check` and `migrate`, the version and the help."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import jobmaster
from jobmaster.sql.schema import SCHEMA_VERSION
from tests.cli.conftest import Project
from tests.databases import execute_script, kind_of

PARTITIONED = ("postgresql", "mysql")
"""Kinds of databases that can keep the history in parts."""
HEAVY = ["sqlalchemy", "alembic", "pydantic", "psycopg", "rich", "anyio"]


def findings(project: Project, *arguments: str) -> dict[str, tuple[bool, str]]:
    ran = project.run("check", *arguments, "--json")
    found = ran.json
    assert (ran.code == 0) == found["ready"]
    return {finding["what"]: (finding["ok"], finding["detail"]) for finding in found["findings"]}


def test_check_and_migrate_from_nothing_to_ready(any_project: Project) -> None:
    before = findings(any_project, "app:cluster")
    assert before["configuration"] == (True, "cluster 'app'")
    assert not before["connection" if any_project.url.startswith("sqlite") else "schema"][0]
    made = any_project.run("migrate", "app:cluster")
    assert f"tables made, version {SCHEMA_VERSION}" in made.out
    assert f"have version {SCHEMA_VERSION} already" in any_project.run("migrate", "app:cluster").out
    after = findings(any_project, "app:cluster")
    assert after["schema"] == (True, f"version {SCHEMA_VERSION}")
    assert after["identity"] == (True, "not stamped yet: the first start does it")
    assert after["handlers"] == (True, "die, fail, hello, process, sleep")
    assert after["workers"] == (True, "busy (lane default, full)")
    any_project.enqueue("hello", {"name": "x"})
    assert "cluster 'app', agent 'standalone'" in findings(any_project, "app:cluster")["identity"][1]
    shown = any_project.run("check", "app:cluster")
    assert shown.code == 0
    assert " fault " not in shown.out


def test_check_creates_nothing(project: Project) -> None:
    assert project.run("check", "app:cluster").code == 2
    assert not (project.folder.parent / "sqlite" / "jobmaster.db").exists()


def test_check_tells_every_fault_of_a_configuration(project: Project) -> None:
    ran = project.run("check", "app:contradictory", "--json")
    assert ran.code == 2
    details = [finding["detail"] for finding in ran.json["findings"]]
    assert len(details) == 2
    assert " fault " in project.run("check", "app:contradictory").out


def test_check_finds_the_tables_of_another_cluster_and_of_a_newer_release(project: Project) -> None:
    project.enqueue("hello", {"name": "x"})
    connection = sqlite3.connect(project.url.removeprefix("sqlite:///"))
    with connection:
        connection.execute("UPDATE jm_meta SET value = 'other' WHERE name = 'cluster_id'")
    assert findings(project, "app:cluster")["identity"] == (
        False,
        "the tables belong to cluster 'other', not to 'app'",
    )
    with connection:
        connection.execute("UPDATE jm_meta SET value = '999' WHERE name = 'schema'")
    connection.close()
    assert findings(project, "app:cluster")["schema"][0] is False


def test_check_finds_an_unreachable_database(project: Project) -> None:
    project.url = "postgresql://nobody:secret@127.0.0.1:1/nowhere"
    ok, detail = findings(project, "app:cluster")["connection"]
    assert not ok
    assert "127.0.0.1:1" in detail
    assert "secret" not in detail


def test_migrate_by_url_with_a_prefix_of_its_own(any_project: Project) -> None:
    arguments = ("--url", any_project.url, "--table-prefix", "mine_")
    assert "tables made" in any_project.run("migrate", *arguments).out
    found = any_project.run("migrate", *arguments, "--json").json
    assert found["before"] == found["after"]
    assert found["after"]["status"] == "current"
    assert any_project.run("check", *arguments).code == 0
    assert any_project.run("check", "--url", any_project.url).code == 2


def test_migrate_prints_statements_that_make_the_tables(any_project: Project) -> None:
    printed = any_project.run("migrate", "app:cluster", "--sql")
    assert printed.code == 0
    execute_script(any_project.url, printed.out)
    assert any_project.run("check", "app:cluster").code == 0
    assert any_project.run("status", "app:cluster").code == 0


def test_migrate_partitions_the_history_when_asked(any_project: Project) -> None:
    if kind_of(any_project.url) not in PARTITIONED:
        ran = any_project.run("migrate", "app:cluster", "--partition-history")
        assert ran.code != 0
        assert "keeps the history in one table" in ran.err
        return
    assert any_project.run("migrate", "app:cluster", "--json").json["partitioned"] is None
    asked = ("migrate", "app:cluster", "--partition-history")
    assert any_project.run(*asked).out.endswith("already, the history is partitioned now\n")
    assert any_project.run(*asked, "--json").json["partitioned"] is False


def test_migrate_makes_nothing_where_the_history_cannot_be_partitioned(project: Project) -> None:
    ran = project.run("migrate", "app:cluster", "--partition-history")
    assert ran.code != 0
    assert "SQLite keeps the history in one table" in ran.err
    assert project.run("migrate", "app:cluster", "--partition-history", "--sql").code != 0
    assert not (project.folder.parent / "sqlite" / "jobmaster.db").exists()


def test_the_version(project: Project) -> None:
    assert project.run("--version").out == f"jobmaster {jobmaster.__version__}\n"


def test_every_command_explains_itself(project: Project) -> None:
    shown = project.run("--help")
    assert shown.code == 0
    for command in ("demo", "run", "check", "migrate", "jobs", "workers", "status", "bench"):
        assert f"\n  {command} " in shown.out
        assert project.run(command, "--help").code == 0


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from jobmaster.cli import main; main(['--help']); "
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Commands:" in done.stdout
    assert sorted(set(HEAVY) & set(done.stderr.split())) == []
