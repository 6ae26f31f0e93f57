"""SQL Server 2019 and newer through pyodbc, with Microsoft's ODBC driver or FreeTDS.

Ids are BINARY(16) and instants BIGINT, in microseconds since 1970: both travel through every driver
unchanged, and UUIDs of version 7 sort by time (UNIQUEIDENTIFIER sorts by its last bytes). The driver itself
is imported only to connect.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import create_engine
from sqlalchemy.engine import Engine

from ..domain.job import ClaimedJob, NewJob
from ..domain.verdict import StateChange
from ..errors import ConfigurationError
from ..ports.transport import ClaimRequest, Listener
from . import sqlservererrors, sqlservermembers
from .dialect import Dialect, Fault, Names
from .gateway import Tx
from .keyed import Step, insert_values
from .localwake import LocalBell
from .rawjobs import claimed_job, raw_uuid
from .sqlservermoves import LOCKS
from .sqlserverrows import (
    Results,
    as_json,
    asked,
    claimed_jobs,
    ids_of,
    new_jobs,
    plain,
    rows_text,
    run,
    succeeded,
)
from .sqlserverstatements import (
    HOT,
    KEYED_INSERT,
    OWN,
    SKIPS,
    bulk_texts,
)
from .sqlservertables import COLLATION, SESSION
from .sqlserverurl import connection_string, secrets_of
from .statements import BULK
from .tables import from_micros, to_micros

__all__ = ["SqlServerDialect"]

_OLDEST = 15
_ID = "CONVERT(BINARY(16), i.value, 2)"
_AZURE = (5, 8)
"""Azure SQL Database and Managed Instance: always new enough, whatever number they give."""
_SESSION = f"""
{SESSION};
SET NUMERIC_ROUNDABORT OFF;
SET NOCOUNT OFF;
SET IMPLICIT_TRANSACTIONS OFF;
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET TEXTSIZE 2147483647;
SET XACT_ABORT ON;
SET LOCK_TIMEOUT {{patience}}"""
"""Texts may be cut off at 64 KB where freetds.conf says so, unless the session says otherwise."""


class SqlServerDialect(Dialect):
    """pyodbc connections in autocommit mode; every transaction is begun and committed by statement."""

    name = "mssql"
    title = "SQL Server"
    paramstyle = "qmark"
    single_writer = False
    wakes_across_processes = False
    savepoint = (
        # An error ends the whole transaction unless XACT_ABORT is off.
        "SET XACT_ABORT OFF; SAVE TRANSACTION jm_part",
        "ROLLBACK TRANSACTION jm_part",
        "SET XACT_ABORT ON",
    )

    # --- text ---------------------------------------------------------------------------------------

    def macro(self, name: str, argument: str) -> str:
        match name:
            case "now":
                return "DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME())"
            case "span":
                return f":{argument}"
            case "micros":
                return argument
            case "in":
                return f"IN (SELECT {_ID} FROM OPENJSON({_text(argument)}) AS i)"
            case "in_texts":
                return f"IN (SELECT i.value COLLATE {COLLATION} FROM OPENJSON({_text(argument)}) AS i)"
            case "listed":
                return f"(SELECT DISTINCT {_ID} AS id FROM OPENJSON({_text(argument)}) AS i)"
            case "lock" | "lock_skip" | "lock_skip_job":
                return ""
            case "bytes":
                # UTF-16: two for every unit.
                return f"DATALENGTH({argument}) / 2"
        raise KeyError(name)

    def top(self, parameter: str) -> str:
        return f"TOP (:{parameter}) "

    def limit(self, parameter: str) -> str:
        return ""

    def table_lock(self, table: str, *, skip: bool) -> str:
        return f" WITH ({SKIPS.get(table, SKIPS['']) if skip else LOCKS})"

    def same_text(self, name: str) -> str:
        # The comparison itself ignores blanks at the end.
        return f"j.{name} = :{name} AND DATALENGTH(j.{name}) = DATALENGTH(:{name})"

    def same_member(self, number: int, key: str, value: Any) -> tuple[str, dict[str, Any]]:
        return sqlservermembers.same_member(number, key, value)

    def hash_parameter(self, parameter: str) -> str:
        # NULL travels as text, from which nothing becomes bytes by itself.
        return f"CAST(:{parameter} AS BINARY(32))"

    def has_table(self, names: Names, table: str) -> str:
        name = names.table(table)
        return f"SELECT CASE WHEN OBJECT_ID(N'{name}', N'U') IS NULL THEN 0 ELSE 1 END"

    @property
    def own_templates(self) -> Mapping[str, str]:
        return OWN

    def hot_templates(self) -> dict[str, str]:
        return {**HOT, **bulk_texts()}

    # --- connections --------------------------------------------------------------------------------

    def create_engine(self) -> Engine:
        import pyodbc

        options = self.options
        patience = max(1, int(options.operation_timeout * 1000))
        session = _SESSION.format(patience=patience)
        given = dict(options.connect_args)
        attributes = {name: given.pop(name) for name in ("attrs_before", "encoding", "ansi") if name in given}
        login = max(2, min(10, int(options.operation_timeout)))
        login = int(given.pop("timeout", login))
        target = connection_string(self.url.url, options.driver, pyodbc.drivers(), given)

        def connect() -> Any:
            connection = pyodbc.connect(target, autocommit=True, timeout=login, **attributes)
            try:
                connection.timeout = max(1, 3 * patience // 1000)
                connection.execute(session).close()
            except BaseException:
                connection.close()
                raise
            return connection

        return create_engine(
            "mssql+pyodbc://",
            creator=connect,
            pool_size=options.pool_size,
            max_overflow=0,
            pool_timeout=options.operation_timeout,
            pool_use_lifo=True,
            pool_reset_on_return=None,
        )

    def check_place(self) -> None:
        """A server tells its clients when it goes."""

    def forget_place(self) -> None:
        """Nothing is remembered."""

    def is_there(self) -> bool:
        return True

    def bound(self, connection: Any) -> None:
        """The query timeout that the connection was made with stands."""

    def cursor(self, connection: Any) -> Any:
        return Results(connection.cursor())

    def begin(self, connection: Any, write: bool, timeout: float) -> None:
        connection.execute("BEGIN TRANSACTION").close()

    def commit(self, connection: Any) -> None:
        connection.execute("COMMIT TRANSACTION").close()

    def rollback(self, connection: Any) -> None:
        # Most errors have ended the transaction already. A savepoint may have left the setting off.
        connection.execute("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET XACT_ABORT ON").close()

    def resolve_schema(self, connection: Any, schema: str | None) -> str | None:
        version, edition, default = connection.execute(
            "SELECT CAST(SERVERPROPERTY('ProductVersion') AS NVARCHAR(128)), "
            "CAST(SERVERPROPERTY('EngineEdition') AS INT), SCHEMA_NAME()"
        ).fetchone()
        if edition not in _AZURE and int(version.split(".")[0]) < _OLDEST:
            raise ConfigurationError(
                f"{self.url.shown} runs SQL Server {version}; jobmaster needs 2019 (15.0) or newer"
            )
        try:
            connection.execute("SELECT [key] FROM OPENJSON(N'[1]')").fetchall()
        except Exception as error:
            if self.fault(error) is not Fault.MISSING_TABLE:
                raise
            raise ConfigurationError(
                f"{self.url.shown} has a compatibility level below 130 and so no OPENJSON: "
                "ALTER DATABASE CURRENT SET COMPATIBILITY_LEVEL = 150"
            ) from error
        return schema if schema is not None else str(default or "dbo")

    def create_schema(self, schema: str) -> str:
        return f"IF SCHEMA_ID(N'{schema}') IS NULL EXEC(N'CREATE SCHEMA \"{schema}\"')"

    @contextmanager
    def schema_lock(self, connection: Any, names: Names) -> Iterator[None]:
        resource = f"jobmaster {names.table('meta')}"
        patience, connection.timeout = connection.timeout, 0
        try:
            connection.execute(
                f"""DECLARE @got INT;
EXEC @got = sp_getapplock @Resource = N'{resource}', @LockMode = 'Exclusive', @LockOwner = 'Session',
  @LockTimeout = -1;
IF @got < 0 RAISERROR('the lock for schema changes was refused (%d)', 16, 1, @got)"""
            ).close()
            try:
                connection.execute("BEGIN TRANSACTION").close()
                yield
                connection.execute("IF @@TRANCOUNT > 0 COMMIT TRANSACTION").close()
            finally:
                self.rollback(connection)
                connection.execute(
                    f"EXEC sp_releaseapplock @Resource = N'{resource}', @LockOwner = 'Session'"
                ).close()
        finally:
            connection.timeout = patience

    # --- errors -------------------------------------------------------------------------------------

    def is_driver_error(self, error: BaseException) -> bool:
        pyodbc = sys.modules.get("pyodbc")
        return isinstance(error, OverflowError) or (pyodbc is not None and isinstance(error, pyodbc.Error))

    def tidy(self, error: BaseException) -> str:
        said = sqlservererrors.tidy(error)
        for secret in secrets_of(self.url.url):
            said = said.replace(secret, "***")
        return said

    def fault(self, error: BaseException) -> Fault:
        return sqlservererrors.classify(error) if self.is_driver_error(error) else Fault.OTHER

    # --- values -------------------------------------------------------------------------------------

    def bind(self, value: Any) -> Any:
        if isinstance(value, UUID):
            return value.bytes
        if isinstance(value, datetime):
            return to_micros(value)
        return value

    def bind_list(self, sql: str, given: dict[str, Any], name: str, values: list[Any]) -> str:
        given[name] = as_json([plain(value) for value in values])
        return sql

    def bind_now(self, given: dict[str, Any]) -> None:
        """The server has a clock."""

    def uuid(self, value: Any) -> UUID:
        return raw_uuid(value)

    def instant(self, value: Any) -> datetime:
        return from_micros(value)

    # --- writes -------------------------------------------------------------------------------------

    def bulk(self, tx: Tx, name: str, rows: Sequence[tuple[Any, ...]]) -> None:
        columns = [column for column, _ in BULK[name].columns]
        run(tx, name, {"rows": rows_text(columns, rows)})

    def enqueue(self, tx: Tx, jobs: Sequence[NewJob], wake: Collection[str], known: bool) -> datetime:
        found = run(tx, "enqueue_known" if known else "enqueue", {"rows": new_jobs(jobs)})
        self.notify(tx, wake)
        return from_micros(found[-1][0][0])

    def keyed_inserts(self, jobs: Sequence[NewJob]) -> Iterator[Step]:
        unkeyed = [job for job in jobs if job.unique_key is None]
        # A key that is taken undoes its whole statement: one each.
        for part in ([unkeyed] if unkeyed else []) + [[job] for job in jobs if job.unique_key is not None]:
            rows = [{name: plain(value) for name, value in insert_values(job).items()} for job in part]
            yield Step("keyed_insert", {"rows": as_json(rows)})

    @property
    def keyed_templates(self) -> Mapping[str, str]:
        return {"keyed_insert": KEYED_INSERT}

    def wake_steps(self, names: Names, lanes: Collection[str]) -> Iterator[Step]:
        # Nobody tells us of the caller's commit: polling finds the work.
        yield from ()

    def nothing_due(self, tx: Tx, claim: ClaimRequest) -> bool:
        return False

    def claim(self, tx: Tx, claim: ClaimRequest) -> list[ClaimedJob]:
        return claimed_jobs(run(tx, "claim", asked(claim))[-1])

    def claimed_in(self, tx: Tx, buckets: Sequence[UUID]) -> list[ClaimedJob]:
        return [claimed_job(row, raw_uuid(row[1])) for row in tx.rows("claimed_in", ids=list(buckets))]

    def succeed(self, tx: Tx, changes: Sequence[StateChange]) -> set[UUID]:
        return ids_of(run(tx, "succeed", succeeded(changes))[-1])

    def settle_plain(
        self, tx: Tx, changes: Sequence[StateChange], claim: ClaimRequest | None
    ) -> tuple[set[UUID], list[ClaimedJob], datetime]:
        if claim is None:
            owned, now = run(tx, "succeed_tell", succeeded(changes))
            return ids_of(owned), [], from_micros(now[0][0])
        owned, claimed, now = run(tx, "succeed_claim", {**succeeded(changes), **asked(claim)})
        return ids_of(owned), claimed_jobs(claimed), from_micros(now[0][0])

    # --- wake-ups -----------------------------------------------------------------------------------

    def _bell(self, names: Names) -> LocalBell:
        return LocalBell.of(f"{self.url.shown} {names.table('job')}")

    def notify(self, tx: Tx, lanes: Collection[str]) -> None:
        if lanes:
            ringing, bell = tuple(lanes), self._bell(tx.names)
            tx.after_commit(lambda: bell.ring(ringing))

    def listen(self, names: Names, on_wake: Callable[[str | None], None]) -> Listener:
        return self._bell(names).listen(on_wake)


def _text(parameter: str) -> str:
    return f"CAST(:{parameter} AS NVARCHAR(MAX))"
