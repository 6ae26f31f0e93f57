"""How a process notices that another one has written to its SQLite file."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobmaster.sql import sqlitewatch
from jobmaster.sql.sqlitewatch import Hearing, Looking, Watch, watch_for

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify is of Linux")


class Heard:
    """Counts what a watch tells."""

    def __init__(self) -> None:
        self.count = 0
        self._told = threading.Event()

    def __call__(self) -> None:
        self.count += 1
        self._told.set()

    def hears(self, act: Callable[[], object]) -> None:
        """Wait until it was told of what ``act`` does."""
        self._told.clear()
        act()
        assert self._told.wait(10)

    def calm(self) -> None:
        """Wait until nothing more is told for half a second."""
        seen = -1
        while seen != self.count:
            seen = self.count
            time.sleep(0.5)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's connection, as far as the watch can tell."""
    connection = open_file(tmp_path / "x.db")
    connection.execute("CREATE TABLE t (x)")
    yield connection
    connection.close()


def open_file(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = wal")
    return connection


@pytest.fixture(params=[pytest.param("hearing", marks=on_linux), "looking"])
def watched(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    writer: sqlite3.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[Watch, Heard]]:
    if request.param == "looking":
        monkeypatch.setattr(sqlitewatch, "_ears", lambda path: None)
    heard = Heard()
    watch = watch_for(str(tmp_path / "x.db"), heard)
    assert type(watch) is (Hearing if request.param == "hearing" else Looking)
    heard.calm()
    yield watch, heard
    if watch._thread.is_alive():
        watch.close()


def test_each_of_many_commits_is_noticed(watched: tuple[Watch, Heard], writer: sqlite3.Connection) -> None:
    _, heard = watched
    assert heard.count == 1  # at its beginning, since nobody knows what it has missed
    for number in range(30):
        heard.hears(lambda number=number: writer.execute("INSERT INTO t VALUES (?)", (number,)))  # type: ignore[misc]


def test_nothing_is_told_while_nothing_is_written(watched: tuple[Watch, Heard]) -> None:
    _, heard = watched
    before = heard.count
    time.sleep(1.5)
    assert heard.count == before


def test_what_is_written_but_not_committed_is_not_told(
    watched: tuple[Watch, Heard], writer: sqlite3.Connection
) -> None:
    """Pages that no longer fit into the memory of a transaction go to the log before it commits."""
    _, heard = watched
    writer.execute("PRAGMA cache_size = 10")
    before = heard.count
    writer.execute("BEGIN")
    for _ in range(200):
        writer.execute("INSERT INTO t VALUES (?)", ("x" * 4000,))
    time.sleep(0.6)
    assert heard.count == before
    heard.hears(writer.commit)


def test_a_log_that_is_made_anew_is_followed(
    watched: tuple[Watch, Heard], writer: sqlite3.Connection, tmp_path: Path
) -> None:
    """Whatever removes it: nobody may have to restart a worker."""
    _, heard = watched
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    heard.hears(lambda: writer.execute("INSERT INTO t VALUES (1)"))
    log = tmp_path / "x.db-wal"
    os.rename(log, tmp_path / "elsewhere")
    log.write_bytes((tmp_path / "elsewhere").read_bytes())
    time.sleep(1.5)
    writer.close()
    fresh = open_file(tmp_path / "x.db")
    try:
        heard.hears(lambda: fresh.execute("INSERT INTO t VALUES (2)"))
    finally:
        fresh.close()


def pipes_and_ears() -> int:
    """How many are open. (Of files SQLite itself keeps some while others of the process use them.)"""
    links = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # what listed them
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    return len([link for link in links if link.startswith(("pipe:", "anon_inode:inotify"))])


@on_linux
def test_it_ends_at_once_and_leaves_nothing_open(tmp_path: Path, writer: sqlite3.Connection) -> None:
    before = pipes_and_ears()
    for _ in range(20):
        heard = Heard()
        watch = watch_for(str(tmp_path / "x.db"), heard)
        began = time.monotonic()
        watch.close()
        assert time.monotonic() - began < 5
        assert not watch._thread.is_alive()
    assert pipes_and_ears() == before


@on_linux
def test_a_log_of_which_no_watch_is_granted_is_looked_at(
    tmp_path: Path, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file itself was granted one before."""
    import inotify_simple

    grant = inotify_simple.INotify.add_watch

    def refuse(ears: Any, path: str, mask: int) -> int:
        if str(path).endswith("-wal"):
            raise OSError(errno.ENOSPC, "no more watches")
        return int(grant(ears, path, mask))

    monkeypatch.setattr(inotify_simple.INotify, "add_watch", refuse)
    heard = Heard()
    watch = watch_for(str(tmp_path / "x.db"), heard)
    assert type(watch) is Hearing
    heard.calm()
    for number in range(5):
        heard.hears(lambda number=number: writer.execute("INSERT INTO t VALUES (?)", (number,)))  # type: ignore[misc]
    watch.close()


@on_linux
def test_what_is_flushed_late_is_noticed_all_the_same(
    tmp_path: Path, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk may take longer than looks go on after a write."""
    monkeypatch.setattr(Hearing, "_look_on", lambda watch, connection: watch._ears.read(timeout=0))
    heard = Heard()
    watch = watch_for(str(tmp_path / "x.db"), heard)
    heard.calm()
    heard.hears(lambda: writer.execute("INSERT INTO t VALUES (1)"))
    watch.close()


FORKING = """
import os, sqlite3, sys, threading, time
from jobmaster.sql.sqlitewake import Bell
path = sys.argv[1]
writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
bell, told = Bell.of(path), threading.Event()
listening = bell.listen(lambda lane: told.set())
assert told.wait(10)
child = os.fork()
if child == 0:
    # its copy of the watch has no thread; ending it must not end that of its parent
    listening.close()
    fresh = threading.Event()
    again = Bell.of(path).listen(lambda lane: fresh.set())
    assert fresh.wait(10)
    again.close()
    print("the child hears", flush=True)
    time.sleep(60)
time.sleep(1)
writing = True
def write():
    while writing:
        writer.execute("INSERT INTO t VALUES (1)")
        time.sleep(0.03)
thread = threading.Thread(target=write)
thread.start()
told.clear()
assert told.wait(10)
began = time.monotonic()
listening.close()
print("closed in time" if time.monotonic() - began < 5 else "closed late", flush=True)
writing = False
thread.join()
os.kill(child, 9)
os.waitpid(child, 0)
"""


@on_linux
def test_a_forked_child_changes_nothing_for_its_parent_and_may_listen_itself(
    tmp_path: Path, writer: sqlite3.Connection
) -> None:
    path = str(tmp_path / "x.db")
    done = subprocess.run(
        [sys.executable, "-c", FORKING, path], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.split("\n")) == ["", "closed in time", "the child hears"]


@on_linux
@pytest.mark.parametrize("refused", ["INotify", "add_watch"])
def test_where_the_system_grants_no_more_watches_it_looks(
    tmp_path: Path, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    import inotify_simple

    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "no more watches")

    target = inotify_simple if refused == "INotify" else inotify_simple.INotify
    monkeypatch.setattr(target, refused, refuse)
    before = pipes_and_ears()
    heard = Heard()
    watch = watch_for(str(tmp_path / "x.db"), heard)
    assert type(watch) is Looking
    heard.calm()
    heard.hears(lambda: writer.execute("INSERT INTO t VALUES (1)"))
    watch.close()
    assert pipes_and_ears() == before
