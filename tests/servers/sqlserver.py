"""SQL Server: by URL only. Its databases are made and dropped through an administrator's connection."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy.engine import make_url

from tests.servers.absence import ServerAbsent, required

URL = "JOBMASTER_TEST_SQLSERVER_URL"


def connect(url: str, **options: Any) -> Any:
    """A plain pyodbc connection to a database, in a transaction of the caller by default."""
    import pyodbc

    return pyodbc.connect(odbc_target(url), timeout=10, **options)


def odbc_target(url: str) -> str:
    """The connection string of a database."""
    import pyodbc

    from jobmaster.sql.sqlserverurl import connection_string

    return connection_string(make_url(url), None, pyodbc.drivers())


class ExternalSqlServer:
    """A server that somebody else runs, known by an administrator's URL; it is never stopped or killed."""

    def __init__(self, url: str) -> None:
        self.url = url

    def create_database(self, name: str | None = None) -> str:
        """Create an empty database with row versioning, by default with a fresh name, and return its URL."""
        name = name or f"jm_{secrets.token_hex(6)}"
        with closing(self.connect()) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            versioning = "SELECT is_read_committed_snapshot_on FROM sys.databases WHERE name = ?"
            if connection.execute(versioning, name).fetchone()[0] == 0:
                connection.execute(f"ALTER DATABASE {name} SET READ_COMMITTED_SNAPSHOT ON")
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def drop_database(self, url: str) -> None:
        """Drop the database that `url` names, and disconnect whoever still uses it."""
        with closing(self.connect()) as connection:
            for number, _ in self._sessions(connection, url):
                connection.execute(f"KILL {number}")
            connection.execute(f"DROP DATABASE IF EXISTS {make_url(url).database}")

    def sessions(self, url: str) -> list[str]:
        """The client connections to the database of `url`: number, programme and state of each."""
        with closing(self.connect()) as connection:
            return [f"session {number} {shown}" for number, shown in self._sessions(connection, url)]

    def connect(self, url: str | None = None) -> Any:
        """A new autocommit connection of the administrator, to the database of `url` where it is given."""
        return connect(url or self.url, autocommit=True)

    def _sessions(self, connection: Any, url: str) -> list[tuple[int, str]]:
        rows = connection.execute(
            "SELECT session_id, CONCAT(program_name, N' ', status) FROM sys.dm_exec_sessions"
            " WHERE database_id = DB_ID(?) AND is_user_process = 1 AND session_id <> @@SPID",
            make_url(url).database,
        ).fetchall()
        return [(number, shown) for number, shown in rows]


def sqlserver_wanted() -> bool:
    """Whether tests for every engine run on SQL Server too: there is one, or its absence is a failure."""
    return bool(os.environ.get(URL)) or "sqlserver" in required()


@contextmanager
def provide_sqlserver() -> Iterator[ExternalSqlServer]:
    """The server of `JOBMASTER_TEST_SQLSERVER_URL`."""
    url = os.environ.get(URL)
    if not url:
        raise ServerAbsent(
            f"no SQL Server here: set {URL} (mssql://sa:password@host/master), or start the one of "
            "tests/compose.yaml"
        )
    yield ExternalSqlServer(url)
