"""SQLite 3.35 and newer: WAL, full synchronisation, one writer per process.

``{now}`` is the host's clock, given as a parameter: SQLite has no clock of its own with microseconds.
"""

from __future__ import annotations

import fcntl
import os
import random
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import QueuePool

from ..domain.alike import AlikeJobs
from ..domain.job import ClaimedJob, NewJob
from ..domain.verdict import StateChange
from ..errors import ConfigurationError
from ..ports.transport import ClaimRequest, Listener
from . import sqlitenew, sqlitesettle
from .dialect import Dialect, Fault, Names, Options
from .jsonsame import json_member
from .keyed import Step, insert_values
from .plainsettle import PlainSettle
from .rawjobs import claimed_job, raw_uuid
from .sqlitefile import FileWatch
from .sqlitestatements import HOT, KEYED_INSERT
from .sqlitewake import Bell
from .statements import BULK
from .tables import from_micros, to_micros
from .urls import StoreUrl

if TYPE_CHECKING:
    from .gateway import Tx

__all__ = ["SqliteDialect"]

_OLDEST = (3, 35, 0)
_TRANSIENT = (
    "database is locked",
    "database table is locked",
    "database or disk is full",
    "locking protocol",
)
_SHORTEST_PAUSE = 0.0003
_UNKNOWN = ("disk i/o error",)
_CONTENT = ("string or blob too big", "too many sql variables")


class SqliteDialect(Dialect):
    """sqlite3 connections in autocommit mode; writers take the file with BEGIN IMMEDIATE."""

    name = "sqlite"
    title = "SQLite"
    paramstyle = "named"
    single_writer = True
    settles_at_once = 2

    def __init__(self, url: StoreUrl, options: Options) -> None:
        super().__init__(url, options)
        self._file = FileWatch(url.path)

    # --- text ---------------------------------------------------------------------------------------

    def macro(self, name: str, argument: str) -> str:
        match name:
            case "now":
                return ":now"
            case "span":
                return f":{argument}"
            case "micros":
                return argument
            case "in":
                return f"IN (:{argument})"
            case "lock" | "lock_skip" | "lock_skip_job":
                return ""
            case "bytes":
                return f"length({argument})"
            case "member":
                return f"jm_json_member(j.metadata, :key_{argument}, :value_{argument})"
        raise KeyError(name)

    def has_table(self, names: Names, table: str) -> str:
        return f"SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '{names.prefix}{table}'"

    def hot_templates(self) -> dict[str, str]:
        texts = dict(HOT)
        for name, bulk in BULK.items():
            for number, template in enumerate(bulk.each):
                texts[f"{name}_{number}"] = template
        return texts

    # --- connections --------------------------------------------------------------------------------

    def create_engine(self) -> Engine:
        if sqlite3.sqlite_version_info < _OLDEST:
            raise ConfigurationError(
                f"this Python carries SQLite {sqlite3.sqlite_version}; jobmaster needs 3.35 or newer"
            )
        folder = os.path.dirname(self.url.path)
        if not os.path.isdir(folder):
            raise ConfigurationError(f"{self.url.path}: the folder {folder} does not exist")
        patience = self.options.operation_timeout
        engine = create_engine(
            self.url.url,
            poolclass=QueuePool,
            pool_size=self.options.pool_size,
            max_overflow=1,  # the writer's connection stays out of the pool
            pool_timeout=patience,
            pool_use_lifo=True,
            pool_reset_on_return=None,
            connect_args={
                "timeout": patience,
                "check_same_thread": False,
                "isolation_level": None,
                "cached_statements": 256,
                **self.options.connect_args,
            },
        )
        event.listen(engine, "do_connect", lambda *_: self._file.check(now=True))
        event.listen(engine, "connect", _set_up, insert=True)
        event.listen(engine, "connect", lambda *_: self._file.opened())
        return engine

    def check_place(self) -> None:
        self._file.check()

    def forget_place(self) -> None:
        self._file.forget()

    def is_there(self) -> bool:
        return self._file.is_there()

    def bound(self, connection: Any) -> None:
        """A file answers or raises; ``begin`` waits for a lock, readers by the busy timeout."""

    def cursor(self, connection: Any) -> Any:
        return connection.cursor()

    def set_up_writer(self, connection: Any) -> None:
        # ``begin`` waits by itself
        connection.execute("PRAGMA busy_timeout = 0")

    def begin(self, connection: Any, write: bool, timeout: float) -> None:
        began = time.monotonic()
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                waited = time.monotonic() - began
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or waited >= timeout:
                    raise
            time.sleep(min(timeout - waited, random.uniform(_SHORTEST_PAUSE, _longest_pause(waited))))

    def commit(self, connection: Any) -> None:
        connection.execute("COMMIT")

    def rollback(self, connection: Any) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    def resolve_schema(self, connection: Any, schema: str | None) -> str | None:
        if schema is not None:
            raise ConfigurationError(f"{self.url.shown}: SQLite has no schemas; leave schema={schema!r} out")
        return None

    @contextmanager
    def schema_lock(self, connection: Any, names: Names) -> Iterator[None]:
        handle = os.open(f"{self.url.path}-migrating", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    # --- errors -------------------------------------------------------------------------------------

    def is_driver_error(self, error: BaseException) -> bool:
        return isinstance(error, (sqlite3.Error, OverflowError))

    def tidy(self, error: BaseException) -> str:
        return str(error).splitlines()[0] if str(error) else type(error).__name__

    def fault(self, error: BaseException) -> Fault:
        text = str(error).lower()
        if isinstance(error, sqlite3.IntegrityError):
            return Fault.UNIQUE if "unique" in text else Fault.CONTENT
        if isinstance(error, (sqlite3.DataError, OverflowError)):
            return Fault.CONTENT
        if any(part in text for part in _CONTENT):
            return Fault.CONTENT
        if isinstance(error, sqlite3.OperationalError):
            if any(part in text for part in _TRANSIENT):
                return Fault.TRANSIENT
            if any(part in text for part in _UNKNOWN):
                return Fault.UNKNOWN_OUTCOME
            if "no such table" in text or "no such column" in text:
                return Fault.MISSING_TABLE
            if "unable to open" in text or "readonly" in text:
                return Fault.REFUSED
        if isinstance(error, sqlite3.DatabaseError) and "not a database" in text:
            return Fault.REFUSED
        return Fault.OTHER

    # --- values -------------------------------------------------------------------------------------

    def bind(self, value: Any) -> Any:
        if isinstance(value, UUID):
            return value.bytes
        if isinstance(value, datetime):
            return to_micros(value)
        return value

    def bind_list(self, sql: str, given: dict[str, Any], name: str, values: list[Any]) -> str:
        spread = [f"{name}_{number}" for number in range(len(values))]
        for key, value in zip(spread, values, strict=True):
            given[key] = self.bind(value)
        return sql.replace(f"(:{name})", f"({', '.join(':' + key for key in spread)})")

    def bind_now(self, given: dict[str, Any]) -> None:
        given["now"] = time.time_ns() // 1000

    def uuid(self, value: Any) -> UUID:
        return UUID(bytes=value)

    def instant(self, value: Any) -> datetime:
        return from_micros(value)

    # --- writes -------------------------------------------------------------------------------------

    def bulk(self, tx: Tx, name: str, rows: Sequence[tuple[Any, ...]]) -> None:
        bulk = BULK[name]
        names = [column for column, _ in bulk.columns]
        bind = self.bind
        bound = [dict(zip(names, map(bind, row), strict=True)) for row in rows]
        for number in range(len(bulk.each)):
            tx.cursor.executemany(tx.texts[f"{name}_{number}"].sql, bound)

    def enqueue(self, tx: Tx, jobs: Sequence[NewJob], wake: Collection[str], known: bool) -> datetime:
        now = time.time_ns() // 1000
        rows = sqlitenew.alike(jobs, now) if isinstance(jobs, AlikeJobs) else sqlitenew.rows(jobs, now)
        tx.cursor.executemany(tx.texts["enqueue"].sql, rows)
        self.notify(tx, wake)
        return from_micros(now)

    def keyed_inserts(self, jobs: Sequence[NewJob]) -> Iterator[Step]:
        for job in jobs:
            yield Step("keyed_insert", insert_values(job))

    @property
    def keyed_templates(self) -> Mapping[str, str]:
        return {"keyed_insert": KEYED_INSERT}

    def wake_steps(self, names: Names, lanes: Collection[str]) -> Iterator[Step]:
        # Every listener watches the file for commits that are not its own.
        yield from ()

    def nothing_due(self, tx: Tx, claim: ClaimRequest) -> bool:
        wanted = [p for p, n in claim.limits.items() if n > 0]
        found = tx.row("peek", lane=claim.lane, priorities=wanted)
        return found is None

    def claim(self, tx: Tx, claim: ClaimRequest) -> list[ClaimedJob]:
        return sqlitesettle.claim(tx, claim)

    def claimed_in(self, tx: Tx, buckets: Sequence[UUID]) -> list[ClaimedJob]:
        return [claimed_job(row, raw_uuid(row[1])) for row in tx.rows("claimed_in", ids=list(buckets))]

    def succeed(self, tx: Tx, changes: Sequence[StateChange]) -> set[UUID]:
        return sqlitesettle.succeed(tx, changes)

    def plain_settle(self, changes: Sequence[StateChange], claim: ClaimRequest | None) -> PlainSettle:
        return sqlitesettle.plain_settle(changes, claim)

    # --- wake-ups -----------------------------------------------------------------------------------

    def notify(self, tx: Tx, lanes: Collection[str]) -> None:
        if lanes:
            ringing = tuple(lanes)
            bell = Bell.of(self.url.path)
            tx.after_commit(lambda: bell.ring(ringing))

    def listen(self, names: Names, on_wake: Callable[[str | None], None]) -> Listener:
        return Bell.of(self.url.path).listen(on_wake)


def _longest_pause(waited: float) -> float:
    """Seconds to the next look at a file that another process writes to.

    SQLite's own handler looks every 0.1 s once it has waited for long, while those who just came look every
    few milliseconds: beside a few busy processes it can starve one for seconds, heartbeats included. Here
    nobody looks less often than every 10 ms, and who has waited for long more often than the others.
    """
    return 0.002 if waited > 0.3 else min(0.002 + waited / 2, 0.01)


def _set_up(connection: Any, _record: Any) -> None:
    try:
        connection.create_function("jm_json_member", 3, json_member, deterministic=True)
        cursor = connection.cursor()
        _check_json(cursor)
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA cache_size = -16384")
        cursor.close()
    except BaseException:
        # the pool does not know it yet, so nobody else would close it
        connection.close()
        raise


def _check_json(cursor: Any) -> None:
    try:
        cursor.execute("SELECT json_extract('[1]', '$[0]')")
    except sqlite3.OperationalError as fault:
        raise ConfigurationError(
            f"the SQLite of this Python was built without its JSON functions, which jobmaster needs: {fault}"
        ) from None
