"""Sessions on MySQL and MariaDB: how they are opened, what is set on them, and the lock around the schema."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pymysql.constants import CLIENT
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DisconnectionError

from ..errors import ConfigurationError
from .mysqlcursor import MySqlCursor

__all__ = ["check_version", "connecting", "renew_idle", "schema_lock", "set_up"]

_OLDEST = {"MySQL": (8, 0, 16), "MariaDB": (10, 6, 0)}
_TLS = (
    "ssl_ca",
    "ssl_cert",
    "ssl_key",
    "ssl_key_password",
    "ssl_verify_cert",
    "ssl_verify_identity",
    "ssl_disabled",
)
"""Parameters of a URL that the driver takes by name; SQLAlchemy would put most of them into a form of which
the driver does not approve any more."""
_LONGEST_WAIT = 31_536_000
_IDLE_SINCE = "jobmaster_idle_since"


def connecting(url: URL, given: Mapping[str, Any], patience: int) -> tuple[URL, dict[str, Any]]:
    """The URL and the arguments with which the driver connects; ``given`` are the user's."""
    query = dict(url.query)
    query.pop("charset", None)
    arguments: dict[str, Any] = {
        "read_timeout": 3 * patience,
        "write_timeout": 3 * patience,
        "program_name": "jobmaster",
        **{name: query.pop(name) for name in _TLS if name in query},
        **given,
        "charset": "utf8mb4",
        "autocommit": True,
    }
    # Counts of rows are counts of rows found.
    arguments["client_flag"] = int(arguments.get("client_flag", 0)) | CLIENT.FOUND_ROWS
    return url.set(query=query), arguments


def renew_idle(engine: Engine, longest: float) -> None:
    """Have connections made anew that have lain in the pool for so many seconds, since the server ends them
    at some time (``wait_timeout``). By their age, as the pool itself does it, those in use would go as well,
    and a new session costs more processor time than a second of an idle worker."""

    def noted(_raw: Any, record: Any) -> None:
        record.info[_IDLE_SINCE] = time.monotonic()

    def looked_at(_raw: Any, record: Any, _lent: Any) -> None:
        since = record.info.pop(_IDLE_SINCE, None)
        if since is not None and time.monotonic() - since > longest:
            raise DisconnectionError("it has been idle for too long")

    event.listen(engine, "checkin", noted)
    event.listen(engine, "checkout", looked_at)


@contextmanager
def schema_lock(connection: Any, meta: str) -> Iterator[None]:
    """See :meth:`.dialect.Dialect.schema_lock`; ``meta`` names the table that tells one set from another."""
    key = f"jobmaster {hashlib.sha256(meta.encode()).hexdigest()[:40]}"
    cursor = MySqlCursor(connection)
    patience = connection._read_timeout
    waits = cursor.execute("SELECT @@lock_wait_timeout").fetchall()[0][0]
    # Waits in slices shorter than the patience of the socket.
    while cursor.execute("SELECT GET_LOCK(%s, 1)", (key,)).fetchall() != [(1,)]:
        continue
    try:
        connection._read_timeout = None
        cursor.execute(f"SET SESSION lock_wait_timeout = {_LONGEST_WAIT}")
        yield
    finally:
        connection._read_timeout = patience
        if connection.open:
            cursor.execute(f"SET SESSION lock_wait_timeout = {waits}")
            cursor.execute("SELECT RELEASE_LOCK(%s)", (key,))


def check_version(connection: Any, shown: str) -> None:
    """Raise :class:`ConfigurationError` for a server that is too old."""
    said: str = connection.get_server_info()
    product = "MariaDB" if "MariaDB" in said else "MySQL"
    # MariaDB before 11 says 5.5.5- first, for the sake of old replicas.
    numbers = re.findall(r"\d+", said.removeprefix("5.5.5-"))[:3]
    oldest = _OLDEST[product]
    if tuple(map(int, numbers)) < oldest:
        raise ConfigurationError(
            f"{shown} runs {product} {'.'.join(numbers)}; jobmaster needs {product} "
            f"{'.'.join(map(str, oldest))} or newer"
        )


def set_up(connection: Any, patience: int) -> None:
    """Give a new session its settings; ``patience`` in seconds."""
    settings = {
        "sql_mode": "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
        "time_zone": "'+00:00'",
        "collation_connection": "utf8mb4_bin",
        "innodb_lock_wait_timeout": patience,
        "lock_wait_timeout": patience,
        # An idle transaction of a frozen process ends with its connection.
        "wait_timeout": 6 * max(10, patience),
    }
    if "MariaDB" in connection.get_server_info():
        settings |= {
            "idle_transaction_timeout": 3 * patience,
            # Long lists of ids stay ranges of the index.
            "in_predicate_conversion_threshold": 0,
        }
    connection.query("SET SESSION " + ", ".join(f"{name} = {value}" for name, value in settings.items()))
    connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
