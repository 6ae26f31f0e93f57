"""Databases for the suites: emptied between tests, since making the tables takes longer than most tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from tests.leftovers import until_empty
from tests.servers import ExternalMariaDb, ExternalPostgres, MariaDbServer, PostgresServer, mariadb

_TABLES = {
    "postgres": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
    "mariadb": "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
}
_KEPT = "_version"
"""Ends the name of the table that says which tables there are."""


class Shelf:
    """The databases of one server, one for each use."""

    def __init__(self, kind: str, server: Any) -> None:
        self._kind = kind
        self._server = server
        self._urls: dict[str, str] = {}

    def empty(self, use: str) -> str:
        """The URL of the database of this use, with the tables that an earlier test made, but no rows."""
        url = self._urls.get(use)
        if url is None:
            url = self._urls[use] = self._server.create_database()
        with closing(_connect(self._kind, url)) as connection, connection.cursor() as cursor:
            cursor.execute(_TABLES[self._kind])
            for (name,) in cursor.fetchall():
                if not name.endswith(_KEPT):
                    cursor.execute(f"DELETE FROM {name}")
            connection.commit()
        return url

    def check(self, url: str) -> None:
        """No connection may be left open."""
        if sessions := until_empty(lambda: self._server.sessions(url)):
            pytest.fail("the test left connections open:\n" + "\n".join(sessions), pytrace=False)

    def close(self) -> None:
        """Drop them."""
        for url in self._urls.values():
            self._server.drop_database(url)


def _connect(kind: str, url: str) -> Any:
    return psycopg.connect(url) if kind == "postgres" else mariadb.connect(url)


def _shelf(kind: str, server: Any) -> Iterator[Shelf]:
    made = Shelf(kind, server)
    yield made
    made.close()


@pytest.fixture(scope="session")
def postgres_shelf(postgres_server: PostgresServer | ExternalPostgres) -> Iterator[Shelf]:
    """The databases on PostgreSQL."""
    yield from _shelf("postgres", postgres_server)


@pytest.fixture(scope="session")
def mariadb_shelf(mariadb_server: MariaDbServer | ExternalMariaDb) -> Iterator[Shelf]:
    """The databases on MariaDB."""
    yield from _shelf("mariadb", mariadb_server)


def _lend(request: pytest.FixtureRequest, shelf: Shelf) -> Iterator[str]:
    # which role a database has is fixed when its tables are made
    params = getattr(request.node, "callspec", None)
    kinds = [] if params is None else [v for v in params.params.values() if isinstance(v, str)]
    url = shelf.empty(".".join([request.node.path.stem, *kinds]))
    yield url
    shelf.check(url)


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest, postgres_shelf: Shelf) -> Iterator[str]:
    """URL of a PostgreSQL database without rows."""
    yield from _lend(request, postgres_shelf)


@pytest.fixture
def mariadb_url(request: pytest.FixtureRequest, mariadb_shelf: Shelf) -> Iterator[str]:
    """URL of a MariaDB database without rows."""
    yield from _lend(request, mariadb_shelf)
