"""One database, ready to be wired into the ports.

::

    database = open_database("postgresql://…", cluster_id="orders", name="standalone")
    transport = SqlTransport(database)                # jobmaster.agents.sql
    settlement = SameDatabaseSettlement(database)     # jobmaster.agents.same_database
    master = SqlMasterStore(database)                 # jobmaster.master.sql

Nothing connects before :meth:`Database.open`, which the ``open()`` of each adapter calls, or before the first
use. ``close()`` of any adapter closes the connections of all; the next use opens new ones.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, TypeAlias
from uuid import UUID

from ..domain.durations import describe_duration
from ..domain.names import check_prefix, check_schema
from ..errors import ConfigurationError, ConflictError, StoreError, TransientStoreError
from .dialect import Dialect, Names, Options
from .gateway import AccessRefused, FaultPoints, Gateway, Tx
from .identity import Stamp, claim_identity, read_stamp
from .schema import Schema
from .tables import Tables
from .urls import StoreUrl, parse_url

__all__ = ["STANDALONE", "Database", "Role", "open_database"]

STANDALONE = "standalone"
"""The name of the only store of a standalone cluster. A master has it too: it is the same store, whose
waiting jobs are called held while there are agents."""

Role: TypeAlias = Literal["standalone", "master", "agent"]
"""What a database is to its cluster."""


class Database:
    """Connections, tables and identity of one database. Safe across threads and forks."""

    def __init__(
        self,
        dialect: Dialect,
        prefix: str,
        schema: str | None,
        cluster_id: str,
        name: str,
        auto_provision: bool,
        faults: FaultPoints | None,
        role: Role = "standalone",
    ) -> None:
        self.cluster_id = cluster_id
        self.name = name
        self.role: Role = role
        self.dialect = dialect
        self._auto_provision = auto_provision
        self._schema_name = schema
        self._gateway = Gateway(dialect, Names(prefix, schema, dialect.quote), faults)
        self._gateway.prepare(self._gateway.names)
        self._opened = False
        self._opening = threading.Lock()
        self._stamp: Stamp | None = None
        self._expected: UUID | None = None
        """The store id that must be found again, after the store was moved away under open connections."""
        self._gateway.on_misplaced = self._misplaced
        self.tables = Tables.of(prefix, schema, agent=self.role == "agent")

    @property
    def shown(self) -> str:
        """The database for messages, without a password."""
        return self.dialect.url.shown

    @property
    def agent_shown(self) -> str | None:
        """The agent connection of the jobs that wait here, as users see it: none on a master."""
        return None if self.role == "master" else self.name

    @property
    def gateway(self) -> Gateway:
        """The gateway, opened if need be."""
        if not self._opened:
            self.open()
        return self._gateway

    @property
    def store_id(self) -> UUID:
        """The random id that was stamped into this store when it was first opened."""
        if self._stamp is None:
            self.open()
        assert self._stamp is not None
        return self._stamp.store_id

    @property
    def schema(self) -> Schema:
        """The tables, for ``jobmaster migrate``. Does not check identity."""
        return Schema(self._gateway, self._schema_name, self.role == "agent")

    def open(self, wait: float | None = None) -> None:
        """Connect, make or check the tables, stamp or check the identity. Idempotent.

        An unreachable database is tried again for ``wait`` seconds (default: the startup timeout), then
        :class:`TransientStoreError`;
        wrong credentials, another cluster's store, a newer schema: :class:`ConfigurationError` at once.
        """
        with self._opening:
            if self._opened:
                return
            if wait is None:
                wait = self.dialect.options.startup_timeout
            deadline = time.monotonic() + wait
            pause = 0.1
            while True:
                try:
                    self._open_once(min(wait, self.dialect.options.operation_timeout))
                    return
                except AccessRefused as error:
                    if self._stamp is not None:
                        raise  # it was open before: an outage like any other
                    raise ConfigurationError(str(error)) from error
                except (TransientStoreError, ConflictError) as error:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        within = f" within {describe_duration(timedelta(seconds=wait))}" if wait else ""
                        raise TransientStoreError(f"no answer{within} from {self.shown}: {error}") from error
                    time.sleep(min(left, pause))
                    pause = min(pause * 2, 1.0)

    def _open_once(self, patience: float) -> None:
        gateway = self._gateway
        if self._expected is not None:
            self._find_again(self._expected)
        self.resolve(patience)
        self.schema.require(self._auto_provision)
        self._stamp = claim_identity(gateway, self.cluster_id, self.name, self.role == "agent")
        self._opened = True
        self._expected = None

    def _misplaced(self) -> None:
        if self._stamp is not None:
            self._expected = self._stamp.store_id
        self._opened = False

    def _find_again(self, expected: UUID) -> None:
        """Refuse a store that is not the one from before, without making or changing anything."""
        dialect, gateway = self.dialect, self._gateway
        if not dialect.is_there():
            raise StoreError(f"{self.shown} was deleted while it was open: put it back, or restart")
        dialect.forget_place()

        def look(tx: Tx) -> Stamp | None:
            return read_stamp(dict(tx.rows("meta"))) if tx.rows("meta_there")[0][0] else None

        stamp = gateway.read("read_stamp", look)
        if stamp is None or stamp.store_id != expected:
            gateway.close()
            raise StoreError(
                f"{self.shown} was replaced while it was open: it is not the store that this process works "
                "with; put that one back, or restart to begin with what is there"
            )

    def resolve(self, patience: float = 0.0) -> None:
        """Connect, tried for ``patience`` seconds, and fix the schema that names are qualified with."""
        gateway = self._gateway
        prefix = gateway.names.prefix
        schema = gateway.read(
            "resolve",
            lambda tx: self.dialect.resolve_schema(tx.connection, self._schema_name),
            timeout=patience,
        )
        gateway.prepare(Names(prefix, schema, self.dialect.quote))
        self.tables = Tables.of(prefix, schema, agent=self.role == "agent")

    def close(self) -> None:
        """Close every connection. Idempotent; the next use opens new ones, and checks identity again."""
        self._opened = False
        self._expected = None
        self._gateway.close()
        self.dialect.forget_place()


def open_database(
    url: str,
    *,
    cluster_id: str,
    name: str = STANDALONE,
    table_prefix: str = "jm_",
    schema: str | None = None,
    pool_size: int = 10,
    connect_args: Mapping[str, Any] | None = None,
    pgbouncer: bool = False,
    driver: str | None = None,
    operation_timeout: float = 10.0,
    startup_timeout: float = 30.0,
    auto_provision: bool = True,
    faults: FaultPoints | None = None,
    role: Role = "standalone",
) -> Database:
    """Describe a database; connects to nothing.

    ``name`` is the permanent name of the store in its cluster: of an agent connection, else
    :data:`STANDALONE`. ``driver`` is the ODBC driver, where there is one. Durations are seconds. Raises
    :class:`ConfigurationError` for a URL, prefix or schema that cannot be, and for a missing driver.
    """
    problems = [
        fault
        for fault in (check_prefix(table_prefix), None if schema is None else check_schema(schema))
        if fault is not None
    ]
    if problems:
        raise ConfigurationError(*problems)
    options = Options(
        pool_size, dict(connect_args or {}), pgbouncer, operation_timeout, startup_timeout, driver
    )
    dialect = make_dialect(parse_url(url), options)
    return Database(dialect, table_prefix, schema, cluster_id, name, auto_provision, faults, role)


def make_dialect(url: StoreUrl, options: Options) -> Dialect:
    """The dialect of a database; its driver is imported only here."""
    match url.kind:
        case "sqlite":
            from .sqlite import SqliteDialect

            return SqliteDialect(url, options)
        case "postgresql":
            try:
                from .postgres import PostgresDialect
            except ImportError as error:
                raise ConfigurationError(
                    f'PostgreSQL needs psycopg: pip install "jobmaster[postgres]" ({error})'
                ) from error
            return PostgresDialect(url, options)
        case "mysql":
            try:
                from .mysql import MySqlDialect
            except ImportError as error:
                raise ConfigurationError(
                    f'MySQL and MariaDB need pymysql: pip install "jobmaster[mysql]" ({error})'
                ) from error
            return MySqlDialect(url, options)
        case "mssql":
            try:
                import pyodbc  # noqa: F401 - so that a missing part of it is told now
            except ImportError as error:
                raise ConfigurationError(
                    'SQL Server needs pyodbc and unixODBC: pip install "jobmaster[sqlserver]", and on Debian '
                    f"apt-get install unixodbc ({error})"
                ) from error
            from .sqlserver import SqlServerDialect

            return SqlServerDialect(url, options)
    raise ConfigurationError(f"no dialect for {url.kind!r}")
