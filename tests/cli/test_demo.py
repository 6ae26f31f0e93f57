"""`jobmaster demo` on real files, in a pipe and in a terminal, once and again."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from uuid import UUID

import psycopg
import pymysql
import pytest

from jobmaster import ClusterConfig
from jobmaster.cli.demo.files import Entry
from jobmaster.cli.demo.outcome import examine
from jobmaster.cli.demo.scenario import Run
from tests.cli.conftest import Project
from tests.databases import execute, sessions
from tests.leftovers import until_empty

SPECIAL = ("one that fails twice", "one that takes too long", "one that is cancelled", "one that is delayed")


def fill(root: Path) -> Path:
    """Put everything into a new directory that a directory may hold."""
    (root / "deep" / "deeper").mkdir(parents=True)
    (root / "empty").touch()
    (root / "three lines.txt").write_text("one\ntwo\nthree")
    (root / "binary").write_bytes(bytes(range(256)) * 512)
    (root / "deep" / "ünïcödé.txt").write_text("x\n")
    Path(os.fsdecode(os.fsencode(root / "deep" / "deeper") + b"/\xff\xfe")).write_text("not a text name\n")
    (root / "link to a file").symlink_to(root / "three lines.txt")
    (root / "link to a folder").symlink_to(root / "deep")
    (root / "link to itself").symlink_to(root / "link to itself")
    (root / "broken link").symlink_to(root / "nowhere")
    os.mkfifo(root / "pipe")
    return root


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory of all sorts."""
    return fill(tmp_path / "files")


READABLE, UNREADABLE = 6, 3


def rows(text: str) -> dict[str, str]:
    """The closing table: what → the rest of its row."""
    found = re.findall(r"^ (\S.*?)  +(.*?) *$", text, re.M)
    return dict(found)


def assert_as_expected(text: str) -> None:
    table = rows(text)
    for what in SPECIAL:
        assert table[what].endswith(" as expected"), text
        assert "NOT" not in table[what], text
    assert "NOT as expected" not in text


def test_by_default_it_works_on_the_package_itself_in_a_fresh_file(project: Project) -> None:
    project.environment["TMPDIR"] = str(project.folder)
    ran = project.run("demo")
    assert ran.code == 0, ran
    assert_as_expected(ran.out)
    assert re.search(r"^ \d+ files +\d+ succeeded +\d+ succeeded +as expected", ran.out, re.M)
    (database,) = re.findall(r"^database: (.*)$", ran.out, re.M)
    assert project.folder in Path(database).parents
    (hint,) = re.findall(r"^look at it: jobmaster (.*)$", ran.out, re.M)
    listed = project.run(*hint.split(), "--json", "--definition", "demo.fail-twice").json["jobs"]
    assert [(job["status"], job["attempt"], job["failures"]) for job in listed] == [("succeeded", 3, 2)]
    assert project.run("demo").code == 0, "another one has a file of its own"


def test_whatever_a_directory_holds(any_project: Project, files: Path) -> None:
    ran = any_project.run("demo", str(files), "--url", any_project.url)
    assert ran.code == 0, ran
    assert_as_expected(ran.out)
    table = rows(ran.out)
    assert table[f"{READABLE} files"].split("  ")[0] == f"{READABLE} succeeded"
    assert f"{UNREADABLE} that cannot be read" in table
    for trouble in ("pipe: cannot be read: a named pipe", "broken link: cannot be read: No such file"):
        assert trouble in ran.out
    listed = any_project.run("jobs", "list", "--json", "-n", "100", "--url", any_project.url).json["jobs"]
    results = {Path(job["data"]["path"]).name: job["result"] for job in listed if job["data"].get("path")}
    assert results["empty"] == {
        "size": 0,
        "lines": 0,
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }
    assert results["three lines.txt"]["lines"] == results["link to a file"]["lines"] == 3
    assert results["binary"]["size"] == 256 * 512
    assert len({job["priority"] for job in listed if job["data"].get("path")}) > 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(project: Project) -> None:
    root = project.folder / "files"
    root.mkdir()
    (root / "secret").write_text("x")
    (root / "secret").chmod(0)
    (root / "locked").mkdir(mode=0)
    ran = project.run("demo", str(root), "--url", project.url)
    assert ran.code == 0, ran
    for name in ("secret", "locked"):
        assert f"{name}: cannot be read: Permission denied" in ran.out


def test_in_a_terminal_it_shows_a_bar(project: Project, files: Path) -> None:
    with project.terminal("demo", str(files), "--url", project.url) as terminal:
        terminal.expect(r"━━━")
        terminal.expect(r"\d+/13 jobs ended, \d+ succeeded")
        terminal.expect(r"13/13 jobs ended, 8 succeeded, 4 failed, 1 cancelled")
        assert terminal.wait() == 0
    assert_as_expected(terminal.text)
    assert terminal.raw.count("\x1b[?25l") == terminal.raw.count("\x1b[?25h") > 0, "the cursor is back"


def test_its_database_may_lie_among_the_files(project: Project) -> None:
    root = project.folder / "files"
    root.mkdir()
    (root / "a").write_text("a\n")
    for _ in range(2):
        ran = project.run("demo", str(root), "--db", str(root / "demo.db"))
        assert ran.code == 0, ran
        assert "1 file" in rows(ran.out)


def test_only_so_many_files_are_taken(project: Project, files: Path) -> None:
    ran = project.run("demo", str(files), "--limit", "2", "--url", project.url)
    assert ran.code == 0, ran
    assert "only the first 2 files were taken (--limit)" in ran.out


def live(url: str) -> tuple[int, int]:
    """Jobs that have ended, and those that have not, of a demo that may not have begun yet."""
    statement = "SELECT (SELECT count(*) FROM jm_history), (SELECT count(*) FROM jm_job)"
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        if not path.exists():
            return 0, 0
        with closing(sqlite3.connect(path)) as connection:
            try:
                found: tuple[int, int] = connection.execute(statement).fetchone()
            except sqlite3.OperationalError:
                return 0, 0  # the tables are not there yet
            return found
    if url.startswith("mssql") and execute(url, "SELECT OBJECT_ID(N'jm_job')") == [(None,)]:
        return 0, 0
    try:
        (counts,) = execute(url, statement)
    except (psycopg.errors.UndefinedTable, pymysql.err.ProgrammingError):
        return 0, 0
    return counts[0], counts[1]


def test_what_a_killed_demo_left_is_finished_by_the_next(any_project: Project) -> None:
    root = any_project.folder / "files"
    root.mkdir()
    for number in range(300):
        (root / f"{number}.txt").write_text(f"{number}\n")
    process = any_project.start("demo", str(root), "--url", any_project.url)
    end = time.monotonic() + 30
    while live(any_project.url)[0] < 50:
        assert time.monotonic() < end
        assert process.poll() is None
    process.kill()
    process.wait()
    # The server may still be at work on what the process sent last.
    assert until_empty(lambda: sessions(any_project.url)) == []
    left = live(any_project.url)[1]
    assert left > 0
    ran = any_project.run("demo", str(root), "--url", any_project.url)
    assert ran.code == 0, ran
    assert_as_expected(ran.out)
    assert re.search(rf"^ {left} left by an earlier run +all ended +all ended", ran.out, re.M)
    assert live(any_project.url)[1] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_stops_cleanly(project: Project, number: signal.Signals) -> None:
    process = project.start("demo", "--url", project.url)
    end = time.monotonic() + 30
    while live(project.url)[0] < 20:
        assert time.monotonic() < end
        assert process.poll() is None
    process.send_signal(number)
    assert process.wait(30) == 130
    assert process.stderr is not None
    assert process.stderr.read() == "jobmaster: interrupted\n"
    assert project.run("workers", "--url", project.url).out == "no workers\n"


def test_the_tables_of_another_cluster_are_refused(project: Project) -> None:
    project.enqueue("hello", {"name": "x"})
    ran = project.run("demo", "--url", project.url)
    assert ran.code == 2
    assert "belong to cluster 'app'" in ran.err
    assert project.run("demo", "--url", project.url, "--table-prefix", "demo_").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "there is no directory nowhere"),
        (["app.py"], "app.py is not a directory"),
        (["--db", "x.db", "--url", "sqlite:///x.db"], "give --db or --url, not both"),
        (["--url", "postgresql://nobody:secret@127.0.0.1:1/x"], "127.0.0.1:1"),
        (["--db", "nowhere/x.db"], "nowhere"),
        (["--limit", "0"], "'--limit'"),
    ],
)
def test_refusals(project: Project, arguments: list[str], said: str) -> None:
    ran = project.run("demo", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert "secret" not in ran.err + ran.out
    assert len(ran.err.splitlines()) == 1


def test_what_did_not_end_as_expected_is_told(project: Project) -> None:
    job_ids = [
        UUID(project.enqueue("demo.inspect-file", {"path": "x"}, metadata={"run": "r"})) for _ in range(4)
    ]
    cluster = ClusterConfig("app").use_sqlite(project.url).add_handlers().build()
    try:
        run = Run("r", [Entry("x", 1, None)] * 4, *job_ids, still_live=4)
        outcome = examine(cluster.scheduler, run)
        assert not outcome.ok
        assert [line.ok for line in outcome.lines] == [False] * 6
        assert "4 did not end as they should" in outcome.lines[0].seen
        empty = examine(cluster.scheduler, Run("another"))
        assert [line.seen for line in empty.lines] == ["0 succeeded"] + ["not enqueued"] * 4
        assert not empty.ok
    finally:
        cluster.close()
