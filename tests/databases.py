"""Clusters and plain connections on whatever database a URL names."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import psycopg
from sqlalchemy.engine import URL

from jobmaster.sql.urls import parse_url
from tests.kinds import kind_of, use
from tests.servers import mariadb, sqlserver

__all__ = ["execute", "execute_script", "kind_of", "sessions", "sqlalchemy_url", "use"]


def execute(url: str, sql: str) -> list[Any]:
    """Run one statement past the library, commit it, and fetch what it gives."""
    match kind_of(url):
        case "sqlite":
            with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
                return connection.execute(sql).fetchall()
        case "mysql":
            with mariadb.connect(url) as opened, opened.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        case "mssql":
            with closing(sqlserver.connect(url, autocommit=True)) as linked:
                given = linked.execute(sql)
                return [tuple(row) for row in given.fetchall()] if given.description else []
    with psycopg.connect(url) as session:
        done = session.execute(sql)  # type: ignore[call-overload]
        return done.fetchall() if done.description else []


def sessions(url: str) -> list[str]:
    """The other sessions in the database of ``url``, where there is a server."""
    queries = {
        "sqlite": "SELECT 1 WHERE 0",
        "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
        "mysql": "SELECT id FROM information_schema.processlist"
        " WHERE db = DATABASE() AND id <> CONNECTION_ID()",
        "mssql": "SELECT session_id FROM sys.dm_exec_sessions"
        " WHERE database_id = DB_ID() AND is_user_process = 1 AND session_id <> @@SPID",
    }
    return [f"session {number}" for (number,) in execute(url, queries[kind_of(url)])]


def sqlalchemy_url(url: str) -> URL:
    """The database as SQLAlchemy is told of it, with the driver that the library uses."""
    if kind_of(url) == "mssql":
        return URL.create("mssql+pyodbc", query={"odbc_connect": sqlserver.odbc_target(url)})
    return parse_url(url).url


def execute_script(url: str, script: str) -> None:
    """Run a script as the server's own command line would: on MySQL statement by statement, on SQL Server
    batch by batch, elsewhere as a whole."""
    match kind_of(url):
        case "sqlite":
            with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
                connection.executescript(script)
        case "postgresql":
            with psycopg.connect(url) as session:
                session.execute(script)  # type: ignore[call-overload]
        case "mysql":
            _execute_mysql(url, script)
        case "mssql":
            with closing(sqlserver.connect(url, autocommit=True)) as linked:
                for batch in filter(str.strip, script.split("\nGO\n")):
                    linked.execute(batch)


def _execute_mysql(url: str, script: str) -> None:
    with mariadb.connect(url) as connection, connection.cursor() as cursor:
        for statement in script.split(";\n"):
            lines = [line for line in statement.splitlines() if not line.startswith("--")]
            if text := "\n".join(lines).strip():
                cursor.execute(text)
