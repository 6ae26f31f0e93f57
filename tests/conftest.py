"""Fixtures for every test: servers, fresh databases, and the check that nothing is left behind."""

from __future__ import annotations

import asyncio.runners
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.forking import forks
from tests.leftovers import Leftovers, cancel_all_tasks_and_tell, open_files, until_empty
from tests.servers import (
    ExternalMariaDb,
    ExternalNats,
    ExternalPostgres,
    ExternalSqlServer,
    MariaDbServer,
    NatsServer,
    PostgresServer,
    ServerAbsent,
    absent,
    provide_mariadb,
    provide_nats,
    provide_postgres,
    provide_sqlserver,
    sqlserver_wanted,
)
from tests.servers.process import IN_MEMORY, roomy_memory
from tests.telling import tell_at_once
from tests.thinning import thin_out

# The suite tries the same examples each time, so that a change is judged by what it changed; others are tried
# with `--hypothesis-profile=search`. No example may fail for being slow.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile("suite")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Name what fails without waiting for the end; keep servers' files off the disk."""
    tell_at_once(config)
    memory = roomy_memory()
    if memory is not None and "TMPDIR" not in os.environ:
        os.environ.setdefault(IN_MEMORY, str(memory))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spare one of two servers what both do alike."""
    thin_out(items)


@pytest.fixture(scope="session", autouse=True)
def _forks() -> None:
    """There before any test that looks what it left behind."""
    forks()


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail the test whose threads, child processes or asyncio tasks outlive it."""
    leftovers = Leftovers()
    with monkeypatch.context() as patch:
        patch.setattr(
            asyncio.runners,
            "_cancel_all_tasks",
            cancel_all_tasks_and_tell(asyncio.runners._cancel_all_tasks, leftovers.note_task),
        )
        yield
    if found := leftovers.found():
        pytest.fail("the test left behind:\n" + "\n".join(found), pytrace=False)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Coroutine tests run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer | ExternalPostgres]:
    """The server of this session. Tests that stop or kill one start a `PostgresServer` of their own."""
    try:
        with provide_postgres() as server:
            yield server
    except ServerAbsent as reason:
        absent("postgres", reason)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer | ExternalPostgres) -> Iterator[str]:
    """URL of a fresh PostgreSQL database; dropped afterwards, and no connection to it may be left open."""
    url = postgres_server.create_database()
    yield url
    sessions = until_empty(lambda: postgres_server.sessions(url))
    postgres_server.drop_database(url)
    if sessions:
        pytest.fail("the test left connections open:\n" + "\n".join(sessions), pytrace=False)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDbServer | ExternalMariaDb]:
    """The server of this session. Tests that stop or kill one start a `MariaDbServer` of their own."""
    try:
        with provide_mariadb() as server:
            yield server
    except ServerAbsent as reason:
        absent("mariadb", reason)


@pytest.fixture
def mariadb_url(mariadb_server: MariaDbServer | ExternalMariaDb) -> Iterator[str]:
    """URL of a fresh MariaDB (or MySQL) database; treated like that of PostgreSQL."""
    url = mariadb_server.create_database()
    yield url
    sessions = until_empty(lambda: mariadb_server.sessions(url))
    mariadb_server.drop_database(url)
    if sessions:
        pytest.fail("the test left connections open:\n" + "\n".join(sessions), pytrace=False)


@pytest.fixture(scope="session")
def sqlserver_server() -> Iterator[ExternalSqlServer]:
    """The server of this session."""
    try:
        with provide_sqlserver() as server:
            yield server
    except ServerAbsent as reason:
        absent("sqlserver", reason)


@pytest.fixture
def sqlserver_url(sqlserver_server: ExternalSqlServer) -> Iterator[str]:
    """URL of a fresh SQL Server database; dropped afterwards, and no connection to it may be left open."""
    url = sqlserver_server.create_database()
    yield url
    sessions = until_empty(lambda: sqlserver_server.sessions(url))
    sqlserver_server.drop_database(url)
    if sessions:
        pytest.fail("the test left connections open:\n" + "\n".join(sessions), pytrace=False)


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer | ExternalNats]:
    """The server of this session, of the newest version here. Tests that stop or kill one start their own."""
    try:
        with provide_nats() as server:
            yield server
    except ServerAbsent as reason:
        absent("nats", reason)


@pytest.fixture(scope="session")
def nats_oldest_server() -> Iterator[NatsServer | ExternalNats]:
    """The server of this session of the oldest version that is supported."""
    try:
        with provide_nats("oldest") as server:
            yield server
    except ServerAbsent as reason:
        absent("nats", reason)


@pytest.fixture(
    params=[
        pytest.param("nats", marks=pytest.mark.nats),
        pytest.param("nats_oldest", marks=pytest.mark.nats),
    ]
)
def nats_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of an empty NATS server, the newest and the oldest one; no connection to it may be left open."""
    server: NatsServer | ExternalNats = request.getfixturevalue(f"{request.param}_server")
    url = server.create_database()
    yield url
    sessions = until_empty(lambda: server.sessions(url))
    server.drop_database(url)
    if sessions:
        pytest.fail("the test left connections open:\n" + "\n".join(sessions), pytrace=False)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> Iterator[str]:
    """URL of an SQLite file that does not exist yet; it may not be open any more after the test."""
    folder = tmp_path / "sqlite"
    folder.mkdir()
    yield f"sqlite:///{folder / 'jobmaster.db'}"
    if files := until_empty(lambda: open_files(folder)):
        pytest.fail("the test left connections open:\n" + "\n".join(files), pytrace=False)


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.sqlite),
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
        # Without a server one test says so (tests/servers), and not each that could use it.
        *([pytest.param("sqlserver", marks=pytest.mark.sqlserver)] if sqlserver_wanted() else []),
    ]
)
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a fresh database: the test runs once for each engine."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
