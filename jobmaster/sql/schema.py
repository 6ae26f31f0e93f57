"""Making and checking the tables.

``meta`` is read first; Alembic is imported only when the schema is not the one this release expects.
"""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from ..errors import ConfigurationError, TransientStoreError
from .gateway import Gateway, Tx
from .partitioning import Partitioning
from .parts import first_end
from .tables import Tables

__all__ = ["SCHEMA_VERSION", "Schema", "SchemaState", "SchemaStatus"]

SCHEMA_VERSION = 2
"""What this release expects in ``meta``; grows with every migration."""
_MIGRATING = threading.Lock()
"""Alembic keeps its environment in globals of its modules: a process runs one migration at a time, whatever
the database."""


class SchemaStatus(Enum):
    """How the tables found compare with those expected."""

    ABSENT = "absent"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The schema of a database: ``found`` is its version, ``None`` without tables."""

    status: SchemaStatus
    found: int | None
    expected: int


class Schema:
    """The tables of one prefix in one database."""

    def __init__(self, gateway: Gateway, create_schema: str | None, agent: bool = False) -> None:
        self._gateway = gateway
        self._agent = agent
        self._create_schema = create_schema

    def state(self) -> SchemaState:
        """Look, and change nothing."""
        found = self._gateway.read("schema_state", _version)
        if found is None:
            status = SchemaStatus.ABSENT
        elif found < SCHEMA_VERSION:
            status = SchemaStatus.OLDER
        else:
            status = SchemaStatus.CURRENT if found == SCHEMA_VERSION else SchemaStatus.NEWER
        return SchemaState(status, found, SCHEMA_VERSION)

    def require(self, provision: bool) -> None:
        """Make sure that the tables are those expected.

        Raises :class:`ConfigurationError` when they are newer than this release, or when they are missing or
        old and ``provision`` is false.
        """
        state = self.state()
        if state.status is SchemaStatus.CURRENT:
            return
        shown, prefix = self._gateway.dialect.url.shown, self._gateway.names.prefix
        if state.status is SchemaStatus.NEWER:
            raise ConfigurationError(
                f"{shown}: the tables {prefix}* have schema version {state.found}, newer than version "
                f"{SCHEMA_VERSION} that this release knows; upgrade jobmaster here"
            )
        if not provision:
            what = "are missing" if state.found is None else f"have schema version {state.found}"
            raise ConfigurationError(
                f"{shown}: the tables {prefix}* {what}, version {SCHEMA_VERSION} is needed; run `jobmaster "
                "migrate`, or allow automatic provisioning"
            )
        self.provision()

    def provision(self) -> None:
        """Bring the tables to this release's version. Safe when several processes do it at once."""
        gateway = self._gateway
        try:
            with gateway.engine.connect() as connection:
                raw = connection.connection.driver_connection
                with gateway.dialect.schema_lock(raw, gateway.names):
                    if self._create_schema is not None:
                        connection.exec_driver_sql(gateway.dialect.create_schema(self._create_schema))
                    _upgrade(gateway, connection, None, self._agent)
        except Exception as error:
            translated = gateway.translate(error, False)
            if translated is None:
                raise
            if isinstance(translated, TransientStoreError):
                raise translated from error
            raise ConfigurationError(f"the tables cannot be made: {translated}") from error

    def sql(self, partitioned: bool = False) -> str:
        """The DDL that :meth:`provision` would run on an empty database, as text. Connects to nothing.

        ``partitioned``: what :meth:`partition_history` would run comes after it.
        """
        out = io.StringIO()
        if self._create_schema is not None:
            out.write(f"{self._gateway.dialect.create_schema(self._create_schema)};\n\n")
        _upgrade(self._gateway, None, out, self._agent)
        if partitioned:
            partitioning = self._partitioning()
            first, last = partitioning.envelope or (None, None)
            out.write("-- The history in parts: needed once, also where the tables above exist\n\n")
            for statement in filter(None, (first, *self._conversion(partitioning, datetime.now(UTC)), last)):
                out.write(f"{statement};\n\n")
        return out.getvalue()

    # --- the history in parts -----------------------------------------------------------------------

    def partitioned(self) -> bool:
        """Whether the history is in parts. Changes nothing."""
        partitioning = self._gateway.dialect.partitioning
        if partitioning is None:
            return False
        return self._gateway.read("history_parts", partitioning.look) is not None

    def partition_history(self) -> bool:
        """Keep the history in parts from now on, and make what there is the first of them; ``False`` when it
        is so already. Safe when several processes do it at once.

        Raises :class:`ConfigurationError` where it cannot be, and :class:`TransientStoreError`, with nothing
        changed, when the history is in use for too long.
        """
        partitioning, gateway = self._partitioning(), self._gateway
        if self.state().status is not SchemaStatus.CURRENT:
            raise ConfigurationError(
                f"{gateway.dialect.url.shown}: the tables {gateway.names.prefix}* do not have version "
                f"{SCHEMA_VERSION}; run `jobmaster migrate`"
            )
        try:
            with gateway.engine.connect() as connection:
                raw = connection.connection.driver_connection
                with gateway.dialect.schema_lock(raw, gateway.names):
                    cursor = gateway.dialect.cursor(raw)
                    tx = Tx(gateway, raw, cursor)
                    if partitioning.look(tx) is not None:
                        return False
                    partitioning.conversion_session(cursor)
                    for statement in self._conversion(partitioning, tx.now()):
                        cursor.execute(statement)
                    return True
        except Exception as error:
            translated = gateway.translate(error, False)
            if translated is None:
                raise
            if isinstance(translated, TransientStoreError):
                raise TransientStoreError(
                    f"the history is as it was, for it is in use: {translated}; try again"
                ) from error
            raise ConfigurationError(f"the history cannot be partitioned: {translated}") from error

    def check_partitioning(self) -> None:
        """Raise :class:`ConfigurationError` where the history cannot be in parts. Connects to nothing."""
        self._partitioning()

    def _partitioning(self) -> Partitioning:
        dialect = self._gateway.dialect
        if self._agent:
            raise ConfigurationError(f"{dialect.url.shown}: an agent keeps no history that could have parts")
        if dialect.partitioning is None:
            raise ConfigurationError(
                f"{dialect.url.shown}: {dialect.title} keeps the history in one table; "
                "parts need PostgreSQL, MySQL or MariaDB"
            )
        return dialect.partitioning

    def _conversion(self, partitioning: Partitioning, now: datetime) -> list[str]:
        names = self._gateway.names
        return partitioning.conversion(names, Tables.of(names.prefix, names.schema).history, first_end(now))


def _version(tx: Tx) -> int | None:
    if not tx.rows("meta_there")[0][0]:
        return None
    found = dict(tx.rows("meta"))
    version = found.get("schema")
    return None if version is None else int(version)


def _upgrade(gateway: Gateway, connection: Any, out: io.StringIO | None, agent: bool) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "jobmaster.sql:migrations")
    script = ScriptDirectory.from_config(config)
    names = gateway.names

    def steps(revision: Any, _context: Any) -> Any:
        return script._upgrade_revs("head", revision)

    with _MIGRATING, EnvironmentContext(config, script, fn=steps, as_sql=out is not None) as environment:
        settings: dict[str, Any] = {
            "version_table": f"{names.prefix}schema_version",
            "version_table_schema": names.schema,
            "jobmaster_agent": agent,
            "jobmaster_prefix": names.prefix,
            "jobmaster_schema": names.schema,
            "jobmaster_meta": names.table("meta"),
        }
        if out is not None:
            settings |= {"dialect_name": gateway.dialect.name, "output_buffer": out, "literal_binds": True}
        environment.configure(connection=connection, **settings)
        environment.run_migrations()
