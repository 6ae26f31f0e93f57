"""Databases looked at from outside: whose they are stands in the database itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from ..domain.names import check_prefix, check_schema
from ..errors import ConfigurationError
from ..sql.database import STANDALONE, make_dialect
from ..sql.dialect import Names, Options
from ..sql.gateway import Gateway, Tx
from ..sql.identity import Stamp, read_stamp
from ..sql.schema import Schema, SchemaState, SchemaStatus
from ..sql.urls import StoreUrl, parse_url
from .refusal import Refusal

if TYPE_CHECKING:
    from ..cluster.config import ClusterConfig

__all__ = ["Register", "Sight", "config_for", "configured", "look"]


@dataclass(frozen=True, slots=True)
class Register:
    """An agent as a master has it: the id that its store is stamped with, and whether it is being emptied."""

    store_id: UUID
    draining: bool


@dataclass(frozen=True, slots=True)
class Sight:
    """What a database holds under a prefix."""

    state: SchemaState
    stamp: Stamp | None = None
    agents: Mapping[str, Register] = field(default_factory=dict)
    """The agents that it is the master of, by name."""


def config_for(url: str, table_prefix: str, schema: str | None) -> ClusterConfig:
    """The configuration of the standalone cluster that lives in a database. Refuses one without tables or
    stamp, an agent, and the master of agents that are in use: their URLs are known to the code alone."""
    seen = look(url, table_prefix, schema)
    shown = parse_url(url).shown
    if seen.state.status is SchemaStatus.ABSENT or seen.stamp is None:
        raise Refusal(f"{shown} holds no cluster under the table prefix {table_prefix!r}")
    stamp = seen.stamp
    if stamp.name != STANDALONE:
        raise Refusal(
            f"{shown} holds agent {stamp.name!r} of cluster {stamp.cluster_id!r}: name the cluster with "
            "--cluster"
        )
    if used := sorted(name for name, agent in seen.agents.items() if not agent.draining):
        raise Refusal(
            f"{shown} is the master of cluster {stamp.cluster_id!r} with agent {', '.join(map(repr, used))}: "
            "a --url is enough for a standalone database only, so name the cluster with --cluster"
        )
    config = configured(stamp.cluster_id, url).table_prefix(table_prefix).disable_auto_provision()
    return config if schema is None else config.schema(schema)


def configured(cluster_id: str, url: str, *, for_master: bool = False) -> ClusterConfig:
    """A standalone cluster on the database of a URL, whatever its kind; or a cluster whose master it is."""
    from ..cluster.config import ClusterConfig

    store = parse_url(url)
    if for_master:
        config = ClusterConfig(cluster_id)
        if store.kind == "sqlite":
            return config.use_sqlite_for_master(store.path)
        masters = {"mysql": config.use_mysql_for_master, "mssql": config.use_sqlserver_for_master}
        return masters.get(store.kind, config.use_postgres_for_master)(url)
    config = ClusterConfig(cluster_id).use_standalone()
    if store.kind == "sqlite":
        return config.use_sqlite(store.path)
    steps = {"mysql": config.use_mysql, "mssql": config.use_sqlserver}
    return steps.get(store.kind, config.use_postgres)(url)


def look(url: str, table_prefix: str, schema: str | None, options: Options | None = None) -> Sight:
    """The schema, the stamp and the agents that a database holds under a prefix; changes nothing, does not
    try again.

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
            return Sight(state)
        stamp = gateway.read("read_stamp", lambda tx: read_stamp(dict(tx.rows("meta"))))
        # the tables of another release may have another shape
        agents = gateway.read("agents", _registers) if state.status is SchemaStatus.CURRENT else {}
        return Sight(state, stamp, agents)
    finally:
        gateway.close()


def _registers(tx: Tx) -> dict[str, Register]:
    return {
        name: Register(tx.dialect.uuid(store_id), bool(draining))
        for name, store_id, _, draining in tx.rows("agent_list")
        if name != STANDALONE
    }


def require_file(store: StoreUrl) -> None:
    """Refuse an SQLite file that does not exist: looking at it would create it."""
    if store.kind == "sqlite" and not os.path.exists(store.path):
        raise Refusal(f"there is no database file {store.path}")
