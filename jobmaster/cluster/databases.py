"""The part of ``ClusterConfig`` that says where jobs are kept: one database, or a master and its agents."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from ..domain.names import check_name, check_prefix, check_schema
from .faults import database_faults, read_database_url
from .given import GivenAgent, GivenDatabase
from .natsagents import NATS_ONLY, bare_servers, is_nats, not_nats, read_nats_agent
from .settings import STANDALONE, DatabaseSettings, without_password
from .steps import SettingSteps

__all__ = ["DATABASE_STEPS", "DatabaseSteps"]

_KINDS = {
    "use_sqlite": "sqlite",
    "use_postgres": "postgresql",
    "use_mysql": "mysql",
    "use_sqlserver": "mssql",
    "use_sqlite_for_master": "sqlite",
    "use_postgres_for_master": "postgresql",
    "use_mysql_for_master": "mysql",
    "use_sqlserver_for_master": "mssql",
}
DATABASE_STEPS = tuple(_KINDS)
"""The steps that take the URL of the master or of a standalone database."""
_LONGEST_PREFIX = 30
_MASTER = "master"


class DatabaseSteps(SettingSteps):
    """Collects databases; :meth:`_choose_databases` says what they come to."""

    def __init__(self) -> None:
        super().__init__()
        self._origin = 2
        self._standalone_asked = False
        self._databases: list[GivenDatabase] = []
        self._database_options: dict[str, Any] = {}
        self._agent_connections: list[GivenAgent] = []

    # -- one database ----------------------------------------------------------------------------------

    def use_standalone(self) -> Self:
        """One database in both roles, master and agent. ``use_sqlite(path)`` and the like imply it."""
        self._standalone_asked = True
        return self

    def use_sqlite(
        self,
        path: str | os.PathLike[str],
        *,
        table_prefix: str | None = None,
        pool_size: int | None = None,
        connect_args: Mapping[str, Any] | None = None,
    ) -> Self:
        """Keep everything in this SQLite file: a path or a ``sqlite:///`` URL."""
        options = {"table_prefix": table_prefix, "pool_size": pool_size, "connect_args": connect_args}
        return self._use("use_sqlite", path, options)

    def use_postgres(
        self,
        url: str,
        *,
        pgbouncer: bool = False,
        table_prefix: str | None = None,
        schema: str | None = None,
        pool_size: int | None = None,
        connect_args: Mapping[str, Any] | None = None,
    ) -> Self:
        """Keep everything in this PostgreSQL database.

        ``pgbouncer``: the URL leads to PgBouncer in transaction mode, so that neither LISTEN nor server-side
        prepared statements are used.
        """
        options = {
            "pgbouncer": pgbouncer,
            "table_prefix": table_prefix,
            "schema": schema,
            "pool_size": pool_size,
            "connect_args": connect_args,
        }
        return self._use("use_postgres", url, options)

    def use_mysql(
        self,
        url: str,
        *,
        table_prefix: str | None = None,
        schema: str | None = None,
        pool_size: int | None = None,
        connect_args: Mapping[str, Any] | None = None,
    ) -> Self:
        """Keep everything in this MySQL or MariaDB database: a ``mysql://`` or ``mariadb://`` URL.

        ``schema``: the database on that server that holds the tables, when it is not the one of the URL.
        """
        options = {
            "table_prefix": table_prefix,
            "schema": schema,
            "pool_size": pool_size,
            "connect_args": connect_args,
        }
        return self._use("use_mysql", url, options)

    def use_sqlserver(
        self,
        url: str,
        *,
        driver: str | None = None,
        table_prefix: str | None = None,
        schema: str | None = None,
        pool_size: int | None = None,
        connect_args: Mapping[str, Any] | None = None,
    ) -> Self:
        """Keep everything in this SQL Server or Azure SQL database: ``mssql://user:password@host/database``.

        ``driver`` names the ODBC driver; by default Microsoft's newest that is installed, else FreeTDS.
        Keywords of the driver, such as ``Encrypt``, go into the query of the URL or into ``connect_args``.
        """
        options = {
            "driver": driver,
            "table_prefix": table_prefix,
            "schema": schema,
            "pool_size": pool_size,
            "connect_args": connect_args,
        }
        return self._use("use_sqlserver", url, options)

    # -- a master and its agents -----------------------------------------------------------------------

    def use_sqlite_for_master(
        self,
        path: str | os.PathLike[str],
        *,
        table_prefix: str | None = None,
        pool_size: int | None = None,
        connect_args: Mapping[str, Any] | None = None,
    ) -> Self:
        """Keep schedules, held and finished jobs in this SQLite file; jobs run on agent connections."""
        options = {"table_prefix": table_prefix, "pool_size": pool_size, "connect_args": connect_args}
        return self._use("use_sqlite_for_master", path, options)

    def use_postgres_for_master(
        self,
        url: str,
        *,
        pgbouncer: bool = False,
        table_prefix: str | None = None,
        schema: str | None = None,
        pool_size: int | None = None,
        connect_args: Mapping[str, Any] | None = None,
    ) -> Self:
        """Keep schedules, held and finished jobs in this PostgreSQL database; jobs run on agent
        connections."""
        options = {
            "pgbouncer": pgbouncer,
            "table_prefix": table_prefix,
            "schema": schema,
            "pool_size": pool_size,
            "connect_args": connect_args,
        }
        return self._use("use_postgres_for_master", url, options)

    def use_mysql_for_master(
        self,
        url: str,
        *,
        table_prefix: str | None = None,
        schema: str | None = None,
        pool_size: int | None = None,
        connect_args: Mapping[str, Any] | None = None,
    ) -> Self:
        """Keep schedules, held and finished jobs in this MySQL or MariaDB database; jobs run on agents.

        ``schema``: the database on that server that holds the tables, when it is not the one of the URL.
        """
        options = {
            "table_prefix": table_prefix,
            "schema": schema,
            "pool_size": pool_size,
            "connect_args": connect_args,
        }
        return self._use("use_mysql_for_master", url, options)

    def use_sqlserver_for_master(
        self,
        url: str,
        *,
        driver: str | None = None,
        table_prefix: str | None = None,
        schema: str | None = None,
        pool_size: int | None = None,
        connect_args: Mapping[str, Any] | None = None,
    ) -> Self:
        """Keep schedules, held and finished jobs in this SQL Server or Azure SQL database; jobs run on
        agents. ``driver`` as for :meth:`use_sqlserver`."""
        options = {
            "driver": driver,
            "table_prefix": table_prefix,
            "schema": schema,
            "pool_size": pool_size,
            "connect_args": connect_args,
        }
        return self._use("use_sqlserver_for_master", url, options)

    def add_agent_connection(
        self,
        name: str,
        url: str,
        *,
        table_prefix: str | None = None,
        schema: str | None = None,
        pool_size: int | None = None,
        connect_args: Mapping[str, Any] | None = None,
        pgbouncer: bool = False,
        driver: str | None = None,
        replicas: int | None = None,
        max_bytes: int | None = None,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        nkey: str | os.PathLike[str] | None = None,
        credentials: str | os.PathLike[str] | None = None,
        tls: bool | ssl.SSLContext | None = None,
    ) -> Self:
        """Run jobs on this transport; its kind is told by the URL: ``postgresql://``, ``nats://`` …

        The name is permanent: it is stamped into the store. An agent in the very database of the master gets
        tables of its own beside the master's, called ``jm_<name>_…``; with ``table_prefix`` it gets those.
        NATS only: the servers may be several, with commas; ``replicas`` (1, 3 or 5) of each message; at most
        ``max_bytes`` of jobs; ``user`` and ``password``, ``token``, ``nkey`` or ``credentials``; ``tls``.

        >>> config.add_agent_connection("payroll", "postgresql://db1/payroll", pool_size=20)  # doctest: +SKIP
        """
        options = {
            "table_prefix": table_prefix,
            "schema": schema,
            "pool_size": pool_size,
            "connect_args": connect_args,
            "pgbouncer": pgbouncer,
            "driver": driver,
            "replicas": replicas,
            "max_bytes": max_bytes,
            "user": user,
            "password": password,
            "token": token,
            "nkey": nkey,
            "credentials": credentials,
            "tls": tls,
        }
        self._agent_connections.append(GivenAgent(self._origin, name, url, options))
        return self

    # -- for all of them -------------------------------------------------------------------------------

    def table_prefix(self, prefix: str) -> Self:
        """What the names of the tables begin with; ``jm_`` by default. One prefix serves one cluster."""
        if self._check("table_prefix", check_prefix(prefix)):
            self._database_options["table_prefix"] = prefix
        return self

    def schema(self, name: str) -> Self:
        """The database schema that holds the tables; by default that of the connection."""
        if self._check("schema", check_schema(name)):
            self._database_options["schema"] = name
        return self

    def disable_auto_provision(self) -> Self:
        """Never create or migrate tables; a start only checks that they fit."""
        self._database_options["auto_provision"] = False
        return self

    # -- what it comes to ------------------------------------------------------------------------------

    def _use(self, step: str, url: object, options: Mapping[str, Any]) -> Self:
        self._databases.append(GivenDatabase(self._origin, step, url, options))
        return self

    def _forget_agents(self) -> None:
        """A list of agents replaces the list of a source with less precedence."""
        self._agent_connections.clear()

    def _choose_databases(
        self, has_workers: bool
    ) -> tuple[DatabaseSettings | None, dict[str, DatabaseSettings], list[str]]:
        """The master or only database, the agents, and what is wrong with them."""
        if not self._databases:
            return None, {}, [self._nothing_given(has_workers)]
        origin = max(given.origin for given in self._databases)
        candidates = [given for given in self._databases if given.origin == origin]
        for_master = candidates[-1].step.endswith("_for_master")
        if len({(given.step, str(given.url)) for given in candidates}) > 1:
            shown = " and ".join(f"{given.step}({_shown(given.url)})" for given in candidates)
            one = "a cluster has one master" if for_master else "a standalone cluster has one database"
            return None, {}, [f"{one}, not several: {shown}"]
        given = candidates[-1]
        problems = self._role_faults(given.step, for_master)
        master, faults = self._read(given.step, _KINDS[given.step], given.url, given.options)
        problems += faults
        agents: dict[str, DatabaseSettings] = {}
        for wanted in self._agent_connections:
            problems += self._read_agent(wanted, master, agents)
        return master, agents, problems

    def _nothing_given(self, has_workers: bool) -> str:
        if self._agent_connections:
            return (
                "agent connections are given and no master: call use_postgres_for_master(url) or another "
                "use_…_for_master"
            )
        needed = "add_worker() has no database to work on" if has_workers else "no database is given"
        return f"{needed}: call use_sqlite(path), use_postgres(url), use_mysql(url) or use_sqlserver(url)"

    def _role_faults(self, step: str, for_master: bool) -> list[str]:
        if for_master and self._standalone_asked:
            return [
                f"use_standalone() and {step}() contradict each other: a standalone cluster has no agents"
            ]
        if for_master and not self._agent_connections:
            return [
                f"{step}() needs at least one add_agent_connection(name, url) on which jobs run; for one "
                f"database in both roles call {step.removesuffix('_for_master')}()"
            ]
        if not for_master and self._agent_connections:
            return [f"{step}() makes a standalone cluster: with agent connections call {step}_for_master()"]
        return []

    def _read(
        self, what: str, kind: str | None, url: object, given: Mapping[str, Any]
    ) -> tuple[DatabaseSettings | None, list[str]]:
        options = {
            **self._database_options,
            **{name: value for name, value in given.items() if value is not None and value is not False},
        }
        text, kind_found, problems = read_database_url(what, kind, url)
        problems += [f"{what}: {fault}" for fault in database_faults(options)]
        if kind_found == "sqlite":
            for name in ("schema", "pgbouncer"):
                if given.get(name):
                    problems.append(f"{what}: {name} is no option of SQLite")
            options.pop("schema", None)
        if kind_found not in ("", "mssql") and given.get("driver"):
            problems.append(f"{what}: driver is an option of SQL Server")
        return (None, problems) if problems else (DatabaseSettings(text, kind_found, **options), [])

    def _read_agent(
        self, wanted: GivenAgent, master: DatabaseSettings | None, agents: dict[str, DatabaseSettings]
    ) -> list[str]:
        name = wanted.name
        fault = check_name("agent connection", name)
        if fault is None and name == STANDALONE:
            fault = f"agent connection {name!r}: that is the name of the agent of a standalone cluster"
        if fault is None and name == _MASTER:
            fault = f"agent connection {name!r}: that is what the master is called where agents are listed"
        if fault is None and name in agents:
            fault = f"agent connection {name!r} is given twice: every agent has a name of its own"
        if fault is not None:
            return [fault]
        shown = f"agent connection {name!r}"
        if is_nats(wanted.url):
            found, problems = read_nats_agent(shown, str(wanted.url), self._database_options, wanted.options)
        elif bare_servers(wanted.url):
            return [f"{shown}: its URL has no scheme: write nats:// or tls:// before NATS servers"]
        else:
            problems = not_nats(shown, wanted.options)
            options = {name: given for name, given in wanted.options.items() if name not in NATS_ONLY}
            found, others = self._read(shown, None, wanted.url, options)
            problems += others
            found = None if problems else found
        if found is None:
            return problems
        if master is not None and wanted.options.get("table_prefix") is None and _same_place(found, master):
            found = _beside(found, name)
        clashes = [other for other, there in agents.items() if _same_place(found, there)]
        if master is not None and _same_place(found, master):
            clashes.insert(0, "the master")
        if clashes:
            return [
                f"agent connection {name!r} would share its tables with {clashes[0]}: give it a table_prefix "
                "or a database of its own"
            ]
        agents[name] = found
        return []


def _same_place(one: DatabaseSettings, other: DatabaseSettings) -> bool:
    return one.kind == other.kind and _place(one) == _place(other)


def _place(settings: DatabaseSettings) -> tuple[object, ...]:
    if settings.kind == "nats":
        # streams bear the names of their agents
        return (object(),)
    from ..sql.urls import parse_url

    url = parse_url(settings.url).url
    place = url.query.get("odbc_connect") or (url.host, url.port, url.database)
    return place, settings.schema, settings.table_prefix


def _beside(settings: DatabaseSettings, name: str) -> DatabaseSettings:
    """The same database with tables called after the agent."""
    tail = re.sub(r"[^A-Za-z0-9]", "_", name)
    return replace(settings, table_prefix=f"{settings.table_prefix}{tail}_"[:_LONGEST_PREFIX])


def _shown(url: object) -> str:
    return repr(without_password(str(url)))
