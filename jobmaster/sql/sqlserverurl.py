"""From the URL of a SQL Server database to the connection string of an ODBC driver. Imports no driver."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sqlalchemy.engine import URL

from ..errors import ConfigurationError

__all__ = ["choose_driver", "connection_string", "read_sqlserver_url", "secrets_of"]

_MICROSOFT = re.compile(r"ODBC Driver (\d+) for SQL Server")
_FREETDS = re.compile(r"freetds|tdsodbc", re.I)
_DRIVERS = ("", "pyodbc")
_PLAIN = re.compile(r"[A-Za-z0-9_.,:\\/-]*", re.ASCII)
_PART = re.compile(r"\s*([^=;]+?)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;]*)\s*(?:;|\Z)")
_SECRET = ("pwd", "password", "accesstoken", "clientkey")
_YES = ("yes", "true", "1", "mandatory", "strict")


def read_sqlserver_url(url: URL) -> tuple[URL, str]:
    """The URL as ``mssql+pyodbc://…``, and how the database is called in messages.

    ``mssql://``, ``sqlserver://`` and ``mssql+pyodbc://`` name a host and a database; the query takes
    ``driver=``, ``odbc_connect=`` (a whole connection string) and any keyword of the driver. A
    ``mssql+pyodbc://`` URL with a host alone names a data source, as with SQLAlchemy.
    """
    backend, _, driver = url.drivername.partition("+")
    if driver not in _DRIVERS:
        raise ConfigurationError(
            f"jobmaster reaches SQL Server through pyodbc: write {backend}:// instead of {url.drivername}://"
        )
    whole = url.query.get("odbc_connect")
    if whole is not None:
        parts = _parts(_one(whole))
        where = parts.get("server") or parts.get("servername") or parts.get("dsn") or "the ODBC data source"
        shown = f"database {parts.get('database', '')!r} at {where}"
    elif not url.host:
        raise ConfigurationError(
            "the URL names no server: write mssql://user:password@host:1433/database "
            "(or mssql+pyodbc:///?odbc_connect=... with a whole connection string)"
        )
    else:
        where = f"{url.host}:{url.port}" if url.port else url.host
        shown = f"database {url.database or ''!r} at {where}"
    if driver == "" and whole is None and not url.database:
        # Kept apart from a data source name, which looks the same with the driver's name in the scheme.
        url = url.set(database="master")
        shown = f"database 'master' at {where}"
    return url.set(drivername="mssql+pyodbc"), shown


def choose_driver(wanted: str | None, installed: Sequence[str]) -> str:
    """The ODBC driver to use: the wanted one, else Microsoft's newest, else FreeTDS.

    Raises :class:`ConfigurationError` when it is not installed. A path names a driver by its library.
    """
    found = ", ".join(repr(name) for name in installed) or "none at all"
    if wanted is not None:
        if wanted in installed or "/" in wanted or "\\" in wanted:
            return wanted
        raise ConfigurationError(f"there is no ODBC driver {wanted!r} on this machine; found: {found}")
    versions = {int(match[1]): name for name in installed if (match := _MICROSOFT.fullmatch(name))}
    if versions:
        return versions[max(versions)]
    for name in installed:
        if _FREETDS.search(name):
            return name
    raise ConfigurationError(
        f"no ODBC driver for SQL Server on this machine; found: {found}. Install Microsoft's "
        "'ODBC Driver 18 for SQL Server' (package msodbcsql18), or FreeTDS (Debian: tdsodbc)"
    )


def connection_string(
    url: URL, wanted: str | None, installed: Sequence[str], options: Mapping[str, object] | None = None
) -> str:
    """What the driver is given. ``wanted`` is the option ``driver=``, which wins over that of the URL.

    ``options`` are keywords of the driver that win over those of the URL. Raises
    :class:`ConfigurationError` when no fitting driver is installed.
    """
    query = {name: _one(value) for name, value in url.query.items()}
    whole = query.pop("odbc_connect", None)
    if whole is not None:
        extra = "".join(f";{name}={_value(str(value))}" for name, value in (options or {}).items())
        return whole.rstrip("; ") + extra
    given = query.pop("driver", None)
    if wanted is None and given is None and not url.database:
        parts = {"DSN": url.host or ""}
        driver = ""
    else:
        driver = choose_driver(wanted or given, installed)
        parts = {"DRIVER": f"{{{driver}}}", **_server(url, driver), "Database": url.database or ""}
    if url.username:
        parts |= {"UID": url.username, "PWD": url.password or ""}
    elif not _has(query, "authentication") and not _has(query, "trusted_connection"):
        parts["Trusted_Connection"] = "Yes"
    parts["APP"] = "jobmaster"
    if driver and is_freetds(driver):
        parts |= _freetds(query)
    for name, value in {**query, **(options or {})}.items():
        _put(parts, name, str(value))
    return ";".join(f"{name}={_value(value)}" for name, value in parts.items())


def is_freetds(driver: str) -> bool:
    """Whether a driver, by name or path, is FreeTDS."""
    return _FREETDS.search(driver) is not None


def secrets_of(url: URL) -> list[str]:
    """Whatever in a URL must not be shown."""
    parts = _parts(_one(url.query.get("odbc_connect", "")))
    found = [url.password, *(value for name, value in parts.items() if name in _SECRET)]
    found += [_one(value) for name, value in url.query.items() if name.lower() in _SECRET]
    return [str(secret) for secret in found if secret]


def _server(url: URL, driver: str) -> dict[str, str]:
    host = url.host or ""
    if is_freetds(driver):
        return {"Server": host, "Port": str(url.port or 1433)} if "\\" not in host else {"Server": host}
    return {"Server": f"{host},{url.port}" if url.port else host}


def _freetds(query: dict[str, str]) -> dict[str, str]:
    """What FreeTDS needs said, and Microsoft's words for encryption in its own."""
    encrypt = next((query.pop(name) for name in list(query) if name.lower() == "encrypt"), None)
    for name in [name for name in query if name.lower() == "trustservercertificate"]:
        del query[name]  # FreeTDS checks certificates where freetds.conf names authorities, and nowhere else
    parts = {"TDS_Version": "7.4"}
    if encrypt is not None:
        parts["Encryption"] = "require" if encrypt.lower() in _YES else "request"
    return parts


def _put(parts: dict[str, str], name: str, value: str) -> None:
    known = next((other for other in parts if other.lower() == name.lower()), name)
    parts[known] = value


def _has(query: Mapping[str, str], name: str) -> bool:
    return any(other.lower() == name for other in query)


def _one(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else value[-1]


def _value(text: str) -> str:
    """A value of a connection string, in braces where it could be read as something else."""
    if text.startswith("{") and text.endswith("}"):
        return text
    return text if _PLAIN.fullmatch(text) else "{" + text.replace("}", "}}") + "}"


def _parts(whole: str) -> dict[str, str]:
    """The keywords of a connection string, in lower case."""
    found = {}
    for name, value in _PART.findall(whole):
        plain = value[1:-1].replace("}}", "}") if value.startswith("{") else value
        found[name.lower()] = plain
    return found
