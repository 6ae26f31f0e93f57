"""Connections that belong to the caller: enqueue inside a transaction that is not ours."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeAlias
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..errors import ConfigurationError
from ..ports.settlement import StoreElsewhere
from .database import Database
from .dialect import positional
from .identity import read_stamp
from .keyed import Conversation, Rows, Step

__all__ = ["converse", "converse_async", "own_converse"]

Run: TypeAlias = Callable[[str, Any], Rows]
RunAsync: TypeAlias = Callable[[str, Any], Awaitable[Rows]]

_TAKEN = (
    "connection= takes a SQLAlchemy Connection, Session, AsyncConnection or AsyncSession, or a raw "
    "connection of psycopg, pymysql, mysqlclient, pyodbc or sqlite3"
)

_STYLES = {
    "postgresql": (("pyformat", "numeric_dollar"), "psycopg, psycopg2 or asyncpg"),
    # What SQLAlchemy writes as %s; all of these drivers take parameters by name as well.
    "mysql": (("format", "pyformat"), "pymysql, mysqlclient, aiomysql or asyncmy"),
    "mssql": (("qmark",), "pyodbc"),
}
"""How the drivers of an engine may write parameters, and which they are."""


def own_converse(tx: Any, conversation: Conversation) -> Any:
    """Hold a conversation in a transaction of our own."""
    return _drive(conversation, lambda step: tx.answer(step.name, **step.values))


def converse(database: Database, connection: object, conversation: Conversation) -> Any:
    """Hold a conversation on a caller's sync connection, after a look at the stamp behind it."""
    style, run = _sync_runner(database, connection)

    def ask(step: Step) -> Rows:
        return run(*foreign_bind(database, step, style))

    _check_stamp(database, ask(Step("meta_there")), lambda: ask(Step("meta")))
    return _drive(conversation, ask)


async def converse_async(database: Database, connection: object, conversation: Conversation) -> Any:
    """The same on an asynchronous connection."""
    found = await _async_runner(database, connection)
    if found is None:
        return converse(database, connection, conversation)
    style, run = found

    async def ask(step: Step) -> Rows:
        return await run(*foreign_bind(database, step, style))

    there = await ask(Step("meta_there"))
    rows = await ask(Step("meta")) if there and there[0][0] else []
    _check_stamp(database, there, lambda: rows)
    try:
        step = next(conversation)
        while True:
            step = conversation.send(await ask(step))
    except StopIteration as end:
        return end.value


def _drive(conversation: Conversation, ask: Callable[[Step], Rows]) -> Any:
    try:
        step = next(conversation)
        while True:
            step = conversation.send(ask(step))
    except StopIteration as end:
        return end.value


def _check_stamp(database: Database, there: Rows, read: Callable[[], Rows]) -> None:
    stamp = None
    if there and there[0][0]:
        stamp = read_stamp({str(row[0]): str(row[1]) for row in read()})
    if stamp is None or stamp.store_id != database.store_id:
        prefix = database.gateway.names.prefix
        raise StoreElsewhere(
            f"connection= leads to another database: it does not see the tables {prefix}* of "
            f"{database.name!r} in {database.shown}"
        )


def foreign_bind(database: Database, step: Step, style: str) -> tuple[str, Any]:
    """The statement and its values for a driver that we did not choose."""
    dialect = database.dialect
    text = dialect.render(database.gateway.foreign_template(step.name), database.gateway.names, style)
    given: dict[str, Any] = {}
    for name, value in step.values.items():
        if dialect.name == "postgresql":
            # Drivers differ in what they take for a uuid; all of them take text where one is expected.
            given[name] = str(value) if isinstance(value, UUID) else value
        else:
            given[name] = dialect.bind(value)
    dialect.bind_now(given)
    if style == "numeric_dollar":
        return text.sql, tuple(given[name] for name in text.names)
    if style == "qmark":
        return text.sql, positional(text, given)
    return text.sql, given


def _sync_runner(database: Database, connection: object) -> tuple[str, Run]:
    if isinstance(connection, Session):
        connection = connection.connection()
    if isinstance(connection, sa.Connection):
        inner = connection

        if inner.dialect.name == "mssql":
            return _style_of(database, inner.dialect), _odbc_alchemy_runner(inner)

        def run(sql: str, values: Any) -> Rows:
            with _text_as_str(inner.connection.driver_connection):
                result = inner.exec_driver_sql(sql, values)
                return result.fetchall() if result.returns_rows else []

        return _style_of(database, inner.dialect), run
    if isinstance(connection, sqlite3.Connection):
        _same_engine(database, "sqlite")
        return "named", _cursor_runner(connection)
    psycopg = sys.modules.get("psycopg")
    if psycopg is not None and isinstance(connection, psycopg.Connection):
        _same_engine(database, "postgresql")
        return "pyformat", _cursor_runner(connection)
    for driver in ("pymysql", "MySQLdb"):
        module = sys.modules.get(f"{driver}.connections")
        if module is not None and isinstance(connection, module.Connection):
            _same_engine(database, "mysql")
            return "pyformat", _mysql_runner(connection, sys.modules[f"{driver}.cursors"].Cursor)
    pyodbc = sys.modules.get("pyodbc")
    if pyodbc is not None and isinstance(connection, pyodbc.Connection):
        _same_engine(database, "mssql")
        return "qmark", _odbc_runner(connection)
    if _is_async(connection):
        raise ConfigurationError(
            f"{type(connection).__name__} is an asynchronous connection: use the _async method"
        )
    raise ConfigurationError(f"{_TAKEN}, not {type(connection).__name__}")


def _cursor_runner(connection: Any) -> Run:
    def run(sql: str, values: Any) -> Rows:
        cursor = connection.cursor()
        try:
            cursor.row_factory = _plain_rows(connection)
            with _text_as_str(connection):
                cursor.execute(sql, values)
                return cursor.fetchall() if cursor.description is not None else []
        finally:
            cursor.close()

    return run


def _mysql_runner(connection: Any, plain: Any) -> Run:
    # ``plain``: the caller may have set cursors whose rows are mappings, or are fetched one by one.

    def run(sql: str, values: Any) -> Rows:
        with _text_as_str(connection), connection.cursor(plain) as cursor:
            cursor.execute(sql, values)
            return [] if cursor.description is None else list(cursor.fetchall())

    return run


def _odbc_runner(connection: Any) -> Run:
    def run(sql: str, values: Any) -> Rows:
        with closing(connection.cursor()) as cursor:
            cursor.execute(sql, *values)
            return _read_to_the_end(cursor)

    return run


def _odbc_alchemy_runner(connection: sa.Connection) -> Run:
    run = _odbc_runner(connection.connection.driver_connection)

    def run_in_transaction(sql: str, values: Any) -> Rows:
        # Past SQLAlchemy, which gives a cursor up whose first answer has no rows, and the errors that come
        # after it. It has to know that there is something to commit.
        if not connection.in_transaction():
            connection.exec_driver_sql("SELECT 1").close()
        return run(sql, values)

    return run_in_transaction


def _read_to_the_end(cursor: Any) -> Rows:
    # The error of a later statement of a batch is raised only when its answer is asked for.
    rows: Rows = cursor.fetchall() if cursor.description is not None else []
    while cursor.nextset():
        continue
    return rows


@contextmanager
def _text_as_str(connection: Any) -> Iterator[None]:
    """Connections of sqlite3 and pymysql may be set to give text as bytes or anything else: not to us."""
    name, wanted = ("use_unicode", True) if hasattr(connection, "use_unicode") else ("text_factory", str)
    chosen = getattr(connection, name, wanted)
    if chosen is wanted:
        yield
        return
    setattr(connection, name, wanted)
    try:
        yield
    finally:
        setattr(connection, name, chosen)


def _plain_rows(connection: Any) -> Any:
    # The caller may have set rows that are mappings.
    return None if isinstance(connection, sqlite3.Connection) else sys.modules["psycopg"].rows.tuple_row


async def _async_runner(database: Database, connection: object) -> tuple[str, RunAsync] | None:
    asyncio_extension = sys.modules.get("sqlalchemy.ext.asyncio")
    if asyncio_extension is not None:
        if isinstance(connection, asyncio_extension.AsyncSession):
            connection = await connection.connection()
        if isinstance(connection, asyncio_extension.AsyncConnection):
            inner = connection

            async def run_sa(sql: str, values: Any) -> Rows:
                with _text_as_str((await inner.get_raw_connection()).driver_connection):
                    result = await inner.exec_driver_sql(sql, values)
                    return result.fetchall() if result.returns_rows else []

            return _style_of(database, inner.dialect), run_sa
    psycopg = sys.modules.get("psycopg")
    if psycopg is not None and isinstance(connection, psycopg.AsyncConnection):
        _same_engine(database, "postgresql")
        raw = connection

        async def run_raw(sql: str, values: Any) -> Rows:
            async with raw.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
                await cursor.execute(sql, values)
                return await cursor.fetchall() if cursor.description is not None else []

        return "pyformat", run_raw
    return None


def _is_async(connection: object) -> bool:
    return any(cls.__name__.startswith("Async") for cls in type(connection).__mro__)


def _same_engine(database: Database, name: str) -> None:
    if database.dialect.name != name:
        raise StoreElsewhere(
            f"connection= is a {name} connection, but {database.name!r} is a "
            f"{database.dialect.title} database"
        )


def _style_of(database: Database, dialect: sa.Dialect) -> str:
    name = "mysql" if dialect.name == "mariadb" else dialect.name
    _same_engine(database, name)
    if name == "sqlite":
        return "named"
    style = str(dialect.paramstyle)
    styles, drivers = _STYLES[name]
    if style not in styles or (dialect.is_async and name == "mssql"):
        raise ConfigurationError(
            f"connection= through the driver {dialect.driver!r} is not supported; use {drivers}"
        )
    return "pyformat" if name == "mysql" else style
