"""MariaDB and MySQL: by URL, or a private instance from Debian's `mariadb-server`."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import pymysql

from tests.servers.absence import ServerAbsent
from tests.servers.process import ServerProcess

URLS = ("JOBMASTER_TEST_MARIADB_URL", "JOBMASTER_TEST_MYSQL_URL")


class _Databases:
    """Databases of one server, made and dropped through its administrator's `url`."""

    url: str

    def create_database(self, name: str | None = None) -> str:
        """Create an empty database, by default with a fresh name, and return its URL."""
        name = name or f"jm_{secrets.token_hex(6)}"
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE `{name}`")
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop_database(self, url: str) -> None:
        """Drop the database that `url` names, and disconnect whoever still uses it."""
        name = _database(url)
        with self.connect() as connection, connection.cursor() as cursor:
            for number in self._sessions(cursor, name):
                self.end_session(cursor, number)
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def sessions(self, url: str) -> list[str]:
        """The client connections to the database of `url`: number, state and last statement of each."""
        with self.connect() as connection, connection.cursor() as cursor:
            found = self._sessions(cursor, _database(url))
        return [f"connection {number} {state}: {query}" for number, (state, query) in found.items()]

    def end_sessions(self, url: str) -> None:
        """Cut every client connection to the database of `url`."""
        with self.connect() as connection, connection.cursor() as cursor:
            for number in self._sessions(cursor, _database(url)):
                self.end_session(cursor, number)

    @staticmethod
    def end_session(cursor: Any, number: int) -> None:
        """Cut one client connection; one that has gone by itself is no matter."""
        try:
            cursor.execute(f"KILL {number}")
        except pymysql.err.OperationalError as error:
            if error.args[0] != 1094:  # no such thread
                raise

    def connect(self) -> Any:
        """A new autocommit connection of the administrator."""
        return connect(self.url)

    @staticmethod
    def _sessions(cursor: Any, name: str) -> dict[int, tuple[str, str]]:
        cursor.execute(
            "SELECT id, command, info FROM information_schema.processlist WHERE db = %s"
            " AND id <> CONNECTION_ID() AND command NOT IN ('Killed', 'Daemon')",
            (name,),
        )
        return {row[0]: (str(row[1]), str(row[2] or "")) for row in cursor.fetchall()}


class ExternalMariaDb(_Databases):
    """A server that somebody else runs, known by an administrator's URL; it is never stopped or killed."""

    def __init__(self, url: str) -> None:
        self.url = url.replace("mariadb://", "mysql://", 1)


class MariaDbServer(_Databases, ServerProcess):
    """A private MariaDB with durable settings, on a free port of the loopback interface.

    `settings` are added to the command line. Raises `ServerAbsent` when there are no binaries.

    Example::

        with MariaDbServer() as server:
            url = server.create_database()
            server.kill()
            server.start()
    """

    kind = "mariadb"
    # A clean stop cuts its clients off; there is no other kind of stop than this and the crash.
    stop_signals: Mapping[str, signal.Signals] = {
        "smart": signal.SIGTERM,
        "fast": signal.SIGTERM,
        "immediate": signal.SIGKILL,
    }

    def __init__(self, *, settings: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._install, self._server = find_binaries()
        self._settings = dict(settings or {})
        self._password = secrets.token_urlsafe(12)
        self.url = f"mysql://jobmaster:{self._password}@127.0.0.1:{self.port}/mysql"

    def prepare(self, directory: Path) -> None:
        self._run(
            self._install,
            "--no-defaults",
            f"--datadir={directory / 'data'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=64M",
            "--innodb-flush-log-at-trx-commit=0",  # nothing is worth a flush before the first start
        )
        # Runs at every start of the server, with the rights of its administrator.
        script = directory / "user.sql"
        script.write_text(
            f"CREATE USER IF NOT EXISTS jobmaster@'127.0.0.1' IDENTIFIED BY '{self._password}';\n"
            "GRANT ALL ON *.* TO jobmaster@'127.0.0.1' WITH GRANT OPTION;\n"
        )

    def command(self, directory: Path) -> list[str]:
        settings = {
            "datadir": str(directory / "data"),
            "bind-address": "127.0.0.1",
            "port": str(self.port),
            "socket": str(directory / "s"),
            "pid-file": str(directory / "mariadbd.pid"),
            "init-file": str(directory / "user.sql"),
            "max-connections": "200",
            "innodb-buffer-pool-size": "64M",
            "innodb-log-file-size": "64M",
            "innodb-flush-log-at-trx-commit": "1",
            "character-set-server": "utf8mb4",
            **self._settings,
        }
        return [
            self._server,
            "--no-defaults",
            "--skip-name-resolve",
            *(f"--{name}={value}" for name, value in settings.items()),
        ]

    def answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.err.OperationalError:
            return False
        return True


@contextmanager
def provide_mariadb() -> Iterator[MariaDbServer | ExternalMariaDb]:
    """A running server: the one of `JOBMASTER_TEST_MARIADB_URL` or `JOBMASTER_TEST_MYSQL_URL`, else a private
    one, ended on leaving."""
    for variable in URLS:
        if url := os.environ.get(variable):
            yield ExternalMariaDb(url)
            return
    with MariaDbServer() as server:
        yield server


def find_binaries() -> tuple[str, str]:
    """`mariadb-install-db` and `mariadbd`; else `ServerAbsent`."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    install, server = (shutil.which(name, path=path) for name in ("mariadb-install-db", "mariadbd"))
    if install is None or server is None:
        raise ServerAbsent(f"no MariaDB here: set {' or '.join(URLS)}, or install Debian's `mariadb-server`")
    return install, server


def connect(url: str) -> Any:
    """A new autocommit connection of the plain driver to the database of `url`."""
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=_database(url) or None,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=10,
    )


def _database(url: str) -> str:
    return urlsplit(url).path.lstrip("/")
