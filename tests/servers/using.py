"""A cluster on the database of a URL, whatever its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from jobmaster import ClusterConfig

__all__ = ["odbc_connect", "odbc_target", "use"]


def use(config: ClusterConfig, url: str) -> ClusterConfig:
    """The step that belongs to the URL."""
    if url.startswith("sqlite"):
        return config.use_sqlite(url)
    return config.use_sqlserver(url) if url.startswith("mssql") else config.use_postgres(url)


def odbc_connect(url: str, **options: Any) -> Any:
    """A plain pyodbc connection to a SQL Server database, in a transaction of the caller by default."""
    import pyodbc

    return pyodbc.connect(odbc_target(url), timeout=10, **options)


def odbc_target(url: str) -> str:
    """The connection string of a SQL Server database."""
    import pyodbc

    from jobmaster.sql.sqlserverurl import connection_string

    return connection_string(make_url(url), None, pyodbc.drivers())
