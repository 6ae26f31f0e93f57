"""PostgreSQL 13 and newer through psycopg 3."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from psycopg import errors as pg
from psycopg.pq import TransactionStatus
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine

from ..domain.alike import AlikeJobs
from ..domain.job import ClaimedJob, NewJob
from ..domain.verdict import StateChange
from ..errors import ConfigurationError
from ..ports.transport import ClaimRequest, Listener
from . import pgarrays, pgcopy, pgsettle
from .dialect import Dialect, Fault, Names
from .keyed import Step, as_json
from .newjobs import millis, split_delay
from .pgconnection import BoundedConnection
from .pglistener import PostgresListener
from .pgparts import PARTS, PostgresPartitioning
from .pgstatements import HOT, KEYED_INSERT, LANES_WAKE
from .plainsettle import PlainSettle
from .statements import BULK
from .tables import from_micros

if TYPE_CHECKING:
    from .gateway import Tx

__all__ = ["PostgresDialect"]

_OLDEST = 130000
_COPY_FROM = 64
"""Jobs in one call from which COPY beats an INSERT from arrays."""
_NO_CURSOR = UUID(int=0)
_TRANSIENT = (
    pg.DeadlockDetected,
    pg.SerializationFailure,
    pg.LockNotAvailable,
    pg.QueryCanceled,
    pg.DiskFull,
    pg.TooManyConnections,
    pg.OutOfMemory,
    pg.InvalidSqlStatementName,  # what was prepared is gone: it is prepared anew
)
_GONE = (
    pg.AdminShutdown,
    pg.CrashShutdown,
    pg.CannotConnectNow,
    pg.IdleInTransactionSessionTimeout,
    pg.ReadOnlySqlTransaction,  # connected to a standby, or the primary was demoted: look for the new one
)
_REFUSED_TEXT = re.compile(
    r"password|authentication|no pg_hba|does not exist|permission denied|is not permitted to log in", re.I
)


class PostgresDialect(Dialect):
    """psycopg connections in autocommit mode; every transaction is begun and committed by statement."""

    name = "postgresql"
    title = "PostgreSQL"
    paramstyle = "pyformat"
    single_writer = False
    partitioning = PostgresPartitioning()

    # --- text ---------------------------------------------------------------------------------------

    def macro(self, name: str, argument: str) -> str:
        match name:
            case "now":
                return "statement_timestamp()"
            case "span":
                return f":{argument} * interval '1 microsecond'"
            case "micros":
                # Exact for every year, also where EXTRACT gives a double (before 14).
                return (
                    f"(extract(epoch FROM date_trunc('second', {argument}))::bigint * 1000000"
                    f" + mod(extract(microseconds FROM {argument})::bigint, 1000000))"
                )
            case "in":
                return f"= ANY(:{argument})"
            case "lock":
                return "FOR UPDATE"
            case "lock_skip":
                return "FOR UPDATE SKIP LOCKED"
            case "lock_skip_job":
                return "FOR UPDATE OF j SKIP LOCKED"
            case "bytes":
                return f"octet_length({argument})"
            case "member":
                return f"(j.metadata::jsonb -> :key_{argument}::text) = :value_{argument}::jsonb"
        raise KeyError(name)

    def has_table(self, names: Names, table: str) -> str:
        return f"SELECT to_regclass('{names.table(table)}') IS NOT NULL"

    def hot_templates(self) -> dict[str, str]:
        texts = {**HOT, **PARTS}
        for name, bulk in BULK.items():
            arrays = ", ".join(f":{column}::{kind}[]" for column, kind in bulk.columns)
            columns = ", ".join(column for column, _ in bulk.columns)
            head = f"WITH a AS (SELECT * FROM unnest({arrays}) AS a({columns}))"
            body = bulk.whole.strip()
            glued = f"{head},\n{body[5:]}" if body.startswith("WITH ") else f"{head}\n{body}"
            texts[name] = glued
        return texts

    # --- connections --------------------------------------------------------------------------------

    def create_engine(self) -> Engine:
        options = self.options
        patience = max(1, int(options.operation_timeout * 1000))
        arguments: dict[str, Any] = {
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": max(5000, patience),
            "application_name": "jobmaster",
            "autocommit": True,
        }
        if options.pgbouncer:
            arguments["prepare_threshold"] = None
        else:
            session = {
                "lock_timeout": patience,
                "statement_timeout": 3 * patience,
                "idle_in_transaction_session_timeout": 3 * patience,
                "timezone": "UTC",
                "jit": "off",
                # Cached plans of the hot statements must stay index plans, also those made while the tables
                # were empty. Planning each time would cost more than running a small claim.
                "enable_seqscan": "off",
                "enable_hashjoin": "off",
                "enable_mergejoin": "off",
                "enable_bitmapscan": "off",
                "plan_cache_mode": "force_generic_plan",
            }
            arguments["options"] = " ".join(f"-c {key}={value}" for key, value in session.items())
            arguments["prepare_threshold"] = 0
        arguments.update(options.connect_args)
        # hot statements carry their text in it, whatever the database or its URL says
        arguments["client_encoding"] = "UTF8"
        engine = create_engine(
            self.url.url,
            connect_args=arguments,
            pool_size=options.pool_size,
            max_overflow=0,
            pool_timeout=options.operation_timeout,
            pool_use_lifo=True,
            pool_reset_on_return=None,
            use_native_hstore=False,
        )
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "connect", _set_up, insert=True)
        return engine

    def _connect(
        self, _dialect: Any, _record: Any, positional: Sequence[Any], named: Mapping[str, Any]
    ) -> BoundedConnection:
        within = self.answers.within
        connection = BoundedConnection.connect(*positional, **{"connect_timeout": min(10, within), **named})
        connection.longest_wait = within
        return connection

    def bound(self, connection: Any) -> None:
        connection.longest_wait = self.answers.within

    def check_place(self) -> None:
        """A server tells its clients when it goes."""

    def forget_place(self) -> None:
        """Nothing is remembered."""

    def is_there(self) -> bool:
        return True

    def cursor(self, connection: Any) -> Any:
        return connection.cursor()

    def begin(self, connection: Any, write: bool, timeout: float) -> None:
        connection.execute("BEGIN")

    def commit(self, connection: Any) -> None:
        connection.execute("COMMIT")

    def rollback(self, connection: Any) -> None:
        if connection.info.transaction_status is not TransactionStatus.IDLE:
            # the driver lets go of everything prepared here
            connection.forget_prepared()
            connection.rollback()

    def resolve_schema(self, connection: Any, schema: str | None) -> str | None:
        version: int = connection.info.server_version
        if version < _OLDEST:
            raise ConfigurationError(
                f"{self.url.shown} runs PostgreSQL {version // 10000}; jobmaster needs 13 or newer"
            )
        if schema is None:
            row = connection.execute("SELECT current_schema()").fetchone()
            return row[0] if row and row[0] else "public"
        return schema

    @contextmanager
    def schema_lock(self, connection: Any, names: Names) -> Iterator[None]:
        # Held by the transaction, not by the session: a pooler may give the next transaction another session.
        key = int.from_bytes(hashlib.sha256(names.table("meta").encode()).digest()[:8], "big", signed=True)
        connection.execute("BEGIN")
        longest, connection.longest_wait = connection.longest_wait, None
        try:
            connection.execute("SET LOCAL lock_timeout = 0")
            connection.execute("SET LOCAL statement_timeout = 0")
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (key,))
            yield
            connection.execute("COMMIT")
        finally:
            connection.longest_wait = longest
            self.rollback(connection)

    # --- errors -------------------------------------------------------------------------------------

    def is_driver_error(self, error: BaseException) -> bool:
        return isinstance(error, psycopg.Error)

    def tidy(self, error: BaseException) -> str:
        said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
        lines = [line.strip() for line in (said or str(error)).splitlines() if line.strip()]
        return lines[0] if lines else type(error).__name__

    def fault(self, error: BaseException) -> Fault:
        if isinstance(error, _GONE):
            return Fault.LOST
        if isinstance(error, _TRANSIENT):
            return Fault.TRANSIENT
        if isinstance(error, pg.UniqueViolation):
            return Fault.UNIQUE
        if isinstance(error, (pg.UndefinedTable, pg.InvalidSchemaName, pg.UndefinedColumn)):
            return Fault.MISSING_TABLE
        if isinstance(error, (pg.InsufficientPrivilege, pg.InvalidAuthorizationSpecification)):
            return Fault.REFUSED
        if isinstance(error, psycopg.DataError):
            return Fault.CONTENT
        if isinstance(error, pg.ProgramLimitExceeded):
            return Fault.CONTENT
        if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
            if error.sqlstate is None:
                text = str(error)
                if "FATAL" in text and _REFUSED_TEXT.search(text):
                    return Fault.REFUSED
                return Fault.LOST
            return Fault.LOST if error.sqlstate.startswith("08") else Fault.TRANSIENT
        return Fault.OTHER

    # --- values -------------------------------------------------------------------------------------

    def bind(self, value: Any) -> Any:
        return value

    def bind_list(self, sql: str, given: dict[str, Any], name: str, values: list[Any]) -> str:
        given[name] = values
        return sql

    def bind_now(self, given: dict[str, Any]) -> None:
        """The server has a clock."""

    def uuid(self, value: Any) -> UUID:
        # A caller's driver may read a uuid as text.
        return value if isinstance(value, UUID) else UUID(str(value))

    def instant(self, value: Any) -> datetime:
        if isinstance(value, int):
            return from_micros(value)
        found: datetime = value
        return found if found.tzinfo is UTC else found.astimezone(UTC)

    # --- writes -------------------------------------------------------------------------------------

    def bulk(self, tx: Tx, name: str, rows: Sequence[tuple[Any, ...]]) -> None:
        given = {
            column: pgarrays.column(kind, list(values))
            for (column, kind), values in zip(BULK[name].columns, zip(*rows, strict=True), strict=True)
        }
        tx.cursor.execute(tx.texts[name].sql, given)

    def enqueue(self, tx: Tx, jobs: Sequence[NewJob], wake: Collection[str], known: bool) -> datetime:
        waking = {"channel": self.channel(tx.names), "lanes": sorted(wake)}
        if len(jobs) >= _COPY_FROM and not known:
            tx.cursor.execute(tx.texts["before_copy"].sql, waking)
            now = self.instant(tx.cursor.fetchone()[0])
            self._copy(tx, jobs, now)
            return now
        delays, run_ats = split_delay(jobs)
        tx.cursor.execute(
            tx.texts["enqueue"].sql,
            {
                "id": pgarrays.uuids([j.id for j in jobs]),
                "definition_id": pgarrays.texts([j.definition_id for j in jobs]),
                "lane": pgarrays.texts([j.lane for j in jobs]),
                "priority": pgarrays.smallints([j.priority for j in jobs]),
                "run_at": pgarrays.instants(run_ats),
                "delay": pgarrays.bigints(delays),
                "data": pgarrays.texts([j.data for j in jobs]),
                "metadata": pgarrays.texts([j.metadata for j in jobs]),
                "timeout_ms": pgarrays.bigints([millis(j.timeout) for j in jobs]),
                "max_retries": pgarrays.ints([j.max_retries for j in jobs]),
                "retry": pgarrays.texts([j.retry for j in jobs]),
                "schedule_id": pgarrays.texts([j.schedule_id for j in jobs]),
                "occurrence_at": pgarrays.instants([j.occurrence_at for j in jobs]),
                "recheck": pgarrays.smallints([j.recheck for j in jobs]),
                **waking,
            },
        )
        return self.instant(tx.cursor.fetchone()[0])

    def _copy(self, tx: Tx, jobs: Sequence[NewJob], now: datetime) -> None:
        with tx.cursor.copy(tx.texts["copy"].sql) as copy:
            for block in pgcopy.blocks(jobs, now):
                copy.write(block)
            if isinstance(jobs, AlikeJobs):
                # the answer to whoever enqueues is made while the server takes in the rest
                jobs.ids()

    def keyed_inserts(self, jobs: Sequence[NewJob]) -> Iterator[Step]:
        yield Step("keyed_insert", {"jobs": as_json(jobs)})

    @property
    def keyed_templates(self) -> Mapping[str, str]:
        return {"keyed_insert": KEYED_INSERT, "wake": "SELECT pg_notify(:channel, :lane)"}

    def wake_steps(self, names: Names, lanes: Collection[str]) -> Iterator[Step]:
        for lane in sorted(lanes):
            yield Step("wake", {"channel": self.channel(names), "lane": lane})

    def nothing_due(self, tx: Tx, claim: ClaimRequest) -> bool:
        return False

    def claim(self, tx: Tx, claim: ClaimRequest) -> list[ClaimedJob]:
        tx.cursor.execute(tx.texts["claim"].sql, pgsettle.claim_values(claim), binary=True)
        return pgsettle.claimed(tx.cursor)

    def claimed_in(self, tx: Tx, buckets: Sequence[UUID]) -> list[ClaimedJob]:
        tx.cursor.execute(tx.texts["claimed_in"].sql, {"ids": pgarrays.uuids(list(buckets))}, binary=True)
        return pgsettle.claimed(tx.cursor)

    def succeed(self, tx: Tx, changes: Sequence[StateChange]) -> set[UUID]:
        tx.cursor.execute(tx.texts["succeed"].sql, pgsettle.succeed_values(changes), binary=True)
        return pgsettle.owned(tx.cursor, changes)

    def plain_settle(self, changes: Sequence[StateChange], claim: ClaimRequest | None) -> PlainSettle | None:
        return None if self.options.pgbouncer else pgsettle.in_one_trip(changes, claim)

    # --- wake-ups -----------------------------------------------------------------------------------

    def channel(self, names: Names) -> str:
        """The NOTIFY channel of one set of tables; a channel belongs to its database already."""
        digest = hashlib.sha256(names.table("job").encode()).hexdigest()[:16]
        return f"jobmaster_{digest}"

    def notify(self, tx: Tx, lanes: Collection[str]) -> None:
        if lanes:
            tx.cursor.execute(LANES_WAKE, {"channel": self.channel(tx.names), "lanes": sorted(lanes)})

    def listen(self, names: Names, on_wake: Callable[[str | None], None]) -> Listener:
        if self.options.pgbouncer:
            return _Deaf()
        return PostgresListener(self.url, self.options, self.channel(names), on_wake)


class _Deaf:
    """No wake-ups: a pooler in transaction mode cannot carry LISTEN, so polling finds the work."""

    def close(self) -> None:
        """Nothing runs."""


def _set_up(connection: Any, _record: Any) -> None:
    pgarrays.register(connection)
