"""Database URLs: which engine they name, and how they may be shown."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ..errors import ConfigurationError
from .sqlserverurl import read_sqlserver_url

__all__ = ["StoreUrl", "parse_url"]


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """A database as configured. ``shown`` is for messages: it never holds a password."""

    kind: str
    """``sqlite``, ``postgresql``, ``mysql`` (also for MariaDB) or ``mssql``."""
    url: URL
    shown: str

    @property
    def path(self) -> str:
        """The file of an SQLite database, absolute."""
        return self.url.database or ""


_DRIVERS = {
    "postgresql": ("PostgreSQL", "psycopg", "postgres"),
    "mysql": ("MySQL", "pymysql", "mysql"),
    "mssql": ("SQL Server", "pyodbc", "sqlserver"),
}


def parse_url(text: str) -> StoreUrl:
    """Read ``postgresql://``, ``postgres://``, ``postgresql+psycopg://``, ``mysql://``, ``mariadb://``,
    ``mysql+pymysql://``, ``mssql://``, ``sqlserver://``, ``mssql+pyodbc://``, ``sqlite:///path`` or a file
    path.

    Raises :class:`ConfigurationError` for an engine that is not supported, for an in-memory SQLite database
    and when the driver is not installed. Connects to nothing. A relative SQLite path is fixed now, so a
    later ``chdir`` does not lead to another file.
    """
    if "://" not in text:
        return _sqlite(text)
    if text.lower().startswith(("nats://", "tls://")):
        raise ConfigurationError(
            "NATS carries jobs, it keeps no schedules and no history: it serves as an agent beside a master, "
            "with add_agent_connection(name, url)"
        )
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "the database URL cannot be read; it looks like postgresql://user:password@host:5432/name, "
            "mysql://user:password@host:3306/name or sqlite:///file.db (special characters in a password "
            "are percent-encoded)"
        ) from None
    backend, _, driver = url.drivername.partition("+")
    if backend == "sqlite":
        if driver not in ("", "pysqlite"):
            raise ConfigurationError(f"write sqlite:///path instead of {url.drivername}://")
        return _sqlite(url.database or "", url)
    if backend in ("postgresql", "postgres"):
        if driver not in ("", "psycopg"):
            raise ConfigurationError(
                f"jobmaster reaches PostgreSQL through psycopg: write postgresql:// "
                f"instead of {url.drivername}://"
            )
        _require_driver("postgresql")
        return StoreUrl("postgresql", url.set(drivername="postgresql+psycopg"), _show(url))
    if backend in ("mysql", "mariadb"):
        if driver not in ("", "pymysql"):
            raise ConfigurationError(
                f"jobmaster reaches MySQL and MariaDB through pymysql: write {backend}:// "
                f"instead of {url.drivername}://"
            )
        _require_driver("mysql")
        return StoreUrl("mysql", url.set(drivername="mysql+pymysql"), _show(url))
    if backend in ("mssql", "sqlserver"):
        found, shown = read_sqlserver_url(url)
        _require_driver("mssql")
        return StoreUrl("mssql", found, shown)
    raise ConfigurationError(
        f"{backend!r} is not a database that jobmaster knows: use postgresql://, mysql://, mssql:// or "
        "sqlite:///; an agent may also be NATS: nats:// or tls://"
    )


def _sqlite(path: str, url: URL | None = None) -> StoreUrl:
    if path in ("", ":memory:") or path.startswith("file:") or "mode=memory" in path:
        raise ConfigurationError(
            "an in-memory SQLite database belongs to one connection and is gone with the process: "
            "give a file, for instance sqlite:///jobs.db"
        )
    full = os.path.abspath(path)
    base = url or URL.create("sqlite")
    return StoreUrl("sqlite", base.set(drivername="sqlite", database=full), full)


def _show(url: URL) -> str:
    host = url.host or url.query.get("host") or "the local socket"
    where = f"{host}:{url.port}" if url.port else str(host)
    return f"database {url.database or url.username or ''!r} at {where}"


def _require_driver(kind: str) -> None:
    title, module, extra = _DRIVERS[kind]
    if importlib.util.find_spec(module) is None:
        raise ConfigurationError(f'{title} needs {module}: pip install "jobmaster[{extra}]"')
