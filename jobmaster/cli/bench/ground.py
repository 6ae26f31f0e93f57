"""The database that is measured: whether it may be used, its tables, its facts, and leaving no trace."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ...sql.database import Database, make_dialect, open_database
from ...sql.dialect import Names, Options
from ...sql.schema import SchemaStatus
from ...sql.tables import Tables
from ...sql.urls import parse_url
from ..loops import LoopKind, loop_factory
from ..refusal import Refusal
from ..standalone import look
from .jobs import CLUSTER_ID, DEFINITIONS, agent_names, agent_url
from .rows import make_rows, settle_down

__all__ = ["MOST_AGENTS", "Ground"]

_EMPTIED = ("job", "history", "attempt", "bucket", "worker")
_PATIENCE = 3600.0
"""Seconds for a statement that makes or deletes very many rows."""
MOST_AGENTS = 3
"""How many agents a measurement may set up beside the master."""


class Ground:
    """The tables of one benchmark in one database. ``with`` takes them and drops them again."""

    def __init__(self, url: str, table_prefix: str) -> None:
        self.url = url
        self.table_prefix = table_prefix
        self.database: Database = open_database(
            url, cluster_id=CLUSTER_ID, table_prefix=table_prefix, startup_timeout=5.0
        )
        dialect = self.database.dialect
        self._path = dialect.url.path if dialect.url.kind == "sqlite" else None
        self._made_file = self._path is not None and not os.path.exists(self._path)
        # with a dialect of its own, that no call of the library tells how long to wait for an answer
        patient = Options(operation_timeout=_PATIENCE)
        self._engine = make_dialect(dialect.url, patient).create_engine()
        self._kind = dialect.url.kind
        self._names = Names(table_prefix, None, dialect.quote)
        self._lock: Any = None

    @property
    def has_master(self) -> bool:
        """Whether what is measured has a master elsewhere, that learns how each job ended."""
        return False

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self._path is not None

    def __enter__(self) -> Ground:
        """Take the ground. Raises :class:`Refusal` when somebody else's tables or jobs are there, or when
        another benchmark is running on it."""
        try:
            self.database.resolve()
            self._resolve_names()
            self._take_lock()
            self._refuse_foreign()
            self._refuse_foreign_files()
            self._drop()
            self.database.open()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.database.close()
            self._drop()
            self._remove_agent_files()
        finally:
            self._leave()

    # -- may we ----------------------------------------------------------------------------------------

    def _resolve_names(self) -> None:
        if not self.is_sqlite:
            here = "SELECT DATABASE()" if self._kind == "mysql" else "SELECT current_schema()"
            self._names = Names(self.table_prefix, self._ask(here)[0][0], self._names.quote)

    def _take_lock(self) -> None:
        shown = self.database.shown
        busy = Refusal(f"another benchmark is using the tables {self.table_prefix}* in {shown}")
        if self._path is not None:
            handle = os.open(f"{self._path}-bench", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                raise busy from None
            self._lock = handle
            return
        # another lock than that of the schema, which is taken while this one is held
        digest = hashlib.sha256(f"bench {self._names.table('meta')}".encode()).digest()
        key: object = int.from_bytes(digest[:8], "big", signed=True)
        take = "SELECT pg_try_advisory_lock(%(key)s)"
        if self._kind == "mysql":
            key, take = f"jobmaster bench {digest[:16].hex()}", "SELECT GET_LOCK(%(key)s, 0)"
        connection = self._engine.connect()
        if connection.exec_driver_sql(take, {"key": key}).scalar():
            self._lock = connection
        else:
            connection.close()
            raise busy

    def _refuse_foreign(self) -> None:
        found = self._tables_found()
        if not found:
            return
        shown, prefix = self.database.shown, self.table_prefix
        way_out = "drop them, or give another --table-prefix"
        if foreign := sorted(found - self._tables_known()):
            raise Refusal(f"{shown} holds a table {foreign[0]!r} that is not the benchmark's: {way_out}")
        if self.database.schema.state().status is not SchemaStatus.CURRENT:
            raise Refusal(f"the tables {prefix}* in {shown} are not of this release: {way_out}")
        stamp = dict(self._ask(f"SELECT name, value FROM {self._names.table('meta')}"))
        if (owner := stamp.get("cluster_id", CLUSTER_ID)) != CLUSTER_ID:
            raise Refusal(f"the tables {prefix}* in {shown} belong to cluster {owner!r}: {way_out}")
        ours = ", ".join(f"'{definition}'" for definition in DEFINITIONS)
        for name in ("job", "history"):
            foreign_jobs = self._ask(
                f"SELECT definition_id FROM {self._names.table(name)} "
                f"WHERE definition_id NOT IN ({ours}) LIMIT 1"
            )
            if foreign_jobs:
                raise Refusal(
                    f"the tables {prefix}* in {shown} hold jobs that are not the benchmark's, such as "
                    f"{foreign_jobs[0][0]!r}: {way_out}"
                )

    def _refuse_foreign_files(self) -> None:
        """Files where those of agents would lie; one of an earlier benchmark is deleted."""
        for agent in agent_names(MOST_AGENTS) if self.is_sqlite else ():
            url = agent_url(self.url, agent)
            if not os.path.exists(parse_url(url).path):
                continue
            stamp = look(url, self.table_prefix, None).stamp
            if stamp is None or stamp.cluster_id != CLUSTER_ID:
                raise Refusal(f"{parse_url(url).shown} is not the benchmark's: move it away")

    def _tables_found(self) -> set[str]:
        names = sa.inspect(self._engine).get_table_names(self._names.schema)
        return {name for name in names if name.startswith(self.table_prefix)}

    def _tables_known(self) -> set[str]:
        known = {table.name for table in self.database.tables.metadata.tables.values()}
        known.add(f"{self.table_prefix}schema_version")
        for agent in agent_names(MOST_AGENTS):
            prefix = f"{self.table_prefix}{agent}_"
            known |= {table.name for table in Tables.of(prefix, agent=True).metadata.tables.values()}
            known.add(f"{prefix}schema_version")
        return known

    # -- between measurements --------------------------------------------------------------------------

    def empty(self) -> None:
        """Take every row out of the tables that grow."""
        with self._engine.connect() as connection:
            if self.is_sqlite:
                for name in _EMPTIED:
                    connection.exec_driver_sql(f"DELETE FROM {self._names.table(name)}")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            elif self._kind == "mysql":
                for name in _EMPTIED:
                    connection.exec_driver_sql(f"TRUNCATE TABLE {self._names.table(name)}")
            else:
                names = ", ".join(self._names.table(name) for name in _EMPTIED)
                connection.exec_driver_sql(f"TRUNCATE {names}")

    def grow(self, kind: str, count: int, say: Callable[[str], None]) -> None:
        """Add rows of a kind, see :mod:`.rows`, and let the engine do its upkeep."""
        make_rows(self._engine, self._names, kind, count, say)
        settle_down(self._engine, self._names)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Keep a transaction open that sees the tables as they are now."""
        opening = {
            "postgresql": ("BEGIN ISOLATION LEVEL REPEATABLE READ",),
            "mysql": (
                "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                "START TRANSACTION WITH CONSISTENT SNAPSHOT",
            ),
            "sqlite": ("BEGIN",),
        }
        with self._engine.connect() as connection:
            for statement in opening[self._kind]:
                connection.exec_driver_sql(statement)
            for name in ("job", "history"):
                connection.exec_driver_sql(f"SELECT 1 FROM {self._names.table(name)} LIMIT 1").fetchall()
            try:
                yield
            finally:
                connection.exec_driver_sql("ROLLBACK")
                connection.invalidate()

    def drop_agents(self) -> None:
        """Take the tables, and on SQLite the files, of all agents away, and what the master knows of them."""
        own = {f"{self.table_prefix}{agent}_" for agent in agent_names(MOST_AGENTS)}
        self._drop_tables({name for name in self._tables_found() if name.startswith(tuple(own))})
        with self._engine.connect() as connection:
            connection.exec_driver_sql(f"DELETE FROM {self._names.table('agent')}")
        self._remove_agent_files()

    def _remove_agent_files(self) -> None:
        for path in self._agent_files():
            with suppress(FileNotFoundError):
                os.unlink(path)

    def _agent_files(self) -> list[str]:
        if self._path is None:
            return []
        paths = [parse_url(agent_url(self.url, agent)).path for agent in agent_names(MOST_AGENTS)]
        return [path + ending for path in paths for ending in ("", "-wal", "-shm", "-migrating")]

    def transactions(self) -> int | None:
        """How many transactions the server has counted for this database, on MySQL for all of them; ``None``
        where nobody counts."""
        if self.is_sqlite:
            return None
        if self._kind == "mysql":
            counted = self._ask("SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_commit', 'Com_rollback')")
            return sum(int(count) for _, count in counted)
        (row,) = self._ask(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        )
        return int(row[0])

    def facts(self) -> dict[str, object]:
        """What the figures were measured on."""
        facts: dict[str, object] = {
            "database": self.database.shown,
            "python": platform.python_version(),
            "loop": "asyncio" if loop_factory(LoopKind.AUTO) is None else f"uvloop {version('uvloop')}",
            "cores": os.cpu_count(),
        }
        if self.is_sqlite:
            facts |= {"engine": f"SQLite {sqlite3.sqlite_version}"}
            for pragma in ("journal_mode", "synchronous"):
                facts[pragma] = self._ask(f"PRAGMA {pragma}")[0][0]
            return facts
        if self._kind == "mysql":
            facts["engine"] = self._ask("SELECT CONCAT(@@version_comment, ' ', @@version)")[0][0]
            for setting in ("innodb_flush_log_at_trx_commit", "sync_binlog", "log_bin"):
                facts[setting] = self._ask(f"SELECT @@{setting}")[0][0]
            return facts
        facts["engine"] = f"PostgreSQL {self._ask('SHOW server_version')[0][0]}"
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method"):
            facts[setting] = self._ask(f"SHOW {setting}")[0][0]
        return facts

    # -- inside ----------------------------------------------------------------------------------------

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]

    def _drop(self) -> None:
        self._drop_tables(self._tables_found() & self._tables_known())

    def _drop_tables(self, tables: set[str]) -> None:
        with self._engine.connect() as connection:
            for name in sorted(tables):
                table = self._names.table(name.removeprefix(self.table_prefix))
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")

    def _leave(self) -> None:
        """Let go of the lock and of a file that was not there before."""
        lock, self._lock = self._lock, None
        self.database.close()
        if self._path is None:
            if lock is not None:
                with suppress(DBAPIError):  # the server may be gone, and the lock with it
                    lock.close()
            self._engine.dispose()
            return
        self._engine.dispose()
        if lock is not None:
            os.unlink(f"{self._path}-bench")
            os.close(lock)
            if self._made_file:
                for ending in ("", "-wal", "-shm", "-migrating"):
                    with suppress(FileNotFoundError):
                        os.unlink(self._path + ending)
