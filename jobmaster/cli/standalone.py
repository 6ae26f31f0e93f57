"""A standalone database named by its URL alone: whose it is stands in the database itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..domain.names import check_prefix, check_schema
from ..errors import ConfigurationError
from ..sql.database import make_dialect
from ..sql.dialect import Names, Options
from ..sql.gateway import Gateway
from ..sql.identity import Stamp, read_stamp
from ..sql.schema import Schema, SchemaState, SchemaStatus
from ..sql.urls import StoreUrl, parse_url
from .refusal import Refusal

if TYPE_CHECKING:
    from ..cluster.config import ClusterConfig

__all__ = ["config_for", "configured", "look"]


def config_for(url: str, table_prefix: str, schema: str | None) -> ClusterConfig:
    """The configuration of the cluster that lives in a database. Refuses one without tables or stamp."""
    state, stamp = look(url, table_prefix, schema)
    shown = parse_url(url).shown
    if state.status is SchemaStatus.ABSENT or stamp is None:
        raise Refusal(f"{shown} holds no cluster under the table prefix {table_prefix!r}")
    config = configured(stamp.cluster_id, url).table_prefix(table_prefix).disable_auto_provision()
    return config if schema is None else config.schema(schema)


def configured(cluster_id: str, url: str) -> ClusterConfig:
    """A standalone cluster on the database of a URL, whatever its kind."""
    from ..cluster.config import ClusterConfig

    store = parse_url(url)
    config = ClusterConfig(cluster_id).use_standalone()
    if store.kind == "sqlite":
        return config.use_sqlite(store.path)
    steps = {"mysql": config.use_mysql, "mssql": config.use_sqlserver}
    return steps.get(store.kind, config.use_postgres)(url)


def look(
    url: str, table_prefix: str, schema: str | None, options: Options | None = None
) -> tuple[SchemaState, Stamp | None]:
    """The schema and the stamp that a database holds under a prefix; changes nothing, does not try again.

    Raises :class:`Refusal` for an SQLite file that does not exist, and what the gateway raises.
    """
    problems = [check_prefix(table_prefix), None if schema is None else check_schema(schema)]
    if found_problems := [problem for problem in problems if problem is not None]:
        raise ConfigurationError(*found_problems)
    store = parse_url(url)
    require_file(store)
    dialect = make_dialect(store, options or Options(pool_size=1))
    names = Names(table_prefix, schema, dialect.quote)
    gateway = Gateway(dialect, names)
    gateway.prepare(names)
    try:
        if store.kind != "sqlite":
            found = gateway.read(
                "resolve", lambda tx: gateway.dialect.resolve_schema(tx.connection, schema), timeout=0.0
            )
            gateway.prepare(Names(table_prefix, found, dialect.quote))
        elif schema is not None:
            raise ConfigurationError(f"{store.shown}: SQLite has no schemas; leave --schema out")
        state = Schema(gateway, None).state()
        if state.status is SchemaStatus.ABSENT:
            return state, None
        return state, gateway.read("read_stamp", lambda tx: read_stamp(dict(tx.rows("meta"))))
    finally:
        gateway.close()


def require_file(store: StoreUrl) -> None:
    """Refuse an SQLite file that does not exist: looking at it would create it."""
    if store.kind == "sqlite" and not os.path.exists(store.path):
        raise Refusal(f"there is no database file {store.path}")
