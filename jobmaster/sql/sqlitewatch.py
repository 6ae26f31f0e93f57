"""Noticing that another process has written to an SQLite file."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import sqlite3
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from inotify_simple import INotify

__all__ = ["Hearing", "Looking", "Watch", "watch_for"]

_LOOK_EVERY = 0.03
_COARSE = 0.1
"""Seconds for which the time of the last write may be too coarse to tell the next one from it."""
_CHECK_EVERY = 1.0
"""Seconds between looks at whether the log that is listened to is still the log."""
_FIRST = 0.001
"""Seconds between a write to the log and the first look at what it brought."""
_LAST = 0.128
"""Seconds between looks at most: a commit is seen only once its write is on the disk."""
_BUSY = 0.01
"""Seconds between looks while writes go on."""

_logger = logging.getLogger("jobmaster.sqlite")


class Watch(ABC):
    """A thread that notices commits of other processes (and of this one: an extra hint does no harm), each of
    which changes the ``data_version`` of all other connections."""

    def __init__(self, path: str, on_change: Callable[[], None]) -> None:
        self._path = path
        self._log = f"{path}-wal"
        self._on_change = on_change
        self._version: int | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="jobmaster-watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread runs: it does not in a process that was forked."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    @abstractmethod
    def _wake(self) -> None:
        """Have :meth:`_pause` return."""

    @abstractmethod
    def _pause(self, seconds: float) -> bool:
        """Wait; whether the watch is closed."""

    @abstractmethod
    def _follow(self, connection: sqlite3.Connection) -> None:
        """Look whenever there is reason to, until closed."""

    def _run(self) -> None:
        while True:
            try:
                with contextlib.closing(self._connect()) as connection:
                    self._version = None
                    self._follow(connection)
                return
            except (sqlite3.Error, OSError) as fault:
                # The file may be locked or being replaced; polling finds the work meanwhile.
                _logger.debug("watching %s is tried again: %s", self._path, fault)
                if self._closed or self._pause(1.0):
                    return

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(self._path)}?mode=ro", uri=True, timeout=1.0)

    def _look(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            # At the first look too: nobody knows what was missed before it.
            self._version = version
            self._on_change()


class Looking(Watch):
    """Looks at the log every few hundredths of a second, and asks SQLite only while it is being written: an
    idle process would spend most of its time on that."""

    def __init__(self, path: str, on_change: Callable[[], None]) -> None:
        super().__init__(path, on_change)
        self._closing = threading.Lock()
        """Held until the end: to wait for it takes a quarter of the steps that waiting for an event does."""
        self._closing.acquire()

    def _wake(self) -> None:
        self._closing.release()

    def _pause(self, seconds: float) -> bool:
        return self._closing.acquire(timeout=seconds)

    def _follow(self, connection: sqlite3.Connection) -> None:
        written: tuple[int, int] | None = None
        while True:
            before, written = written, self._written()
            if written is None or written != before or abs(time.time() - written[0] / 1e9) < _COARSE:
                self._look(connection)
            if self._pause(_LOOK_EVERY):
                return

    def _written(self) -> tuple[int, int] | None:
        """When the log was written last and how long it is: a fraction of the price of asking SQLite."""
        try:
            found = os.stat(self._log)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size


class Hearing(Watch):
    """Is told by the kernel when the log is written (inotify), and costs nothing in between.

    A write is seen before what it commits can be: SQLite first flushes it to the disk. So looks follow it at
    growing distances, over a quarter of a second, and every second anyway.
    """

    def __init__(self, path: str, on_change: Callable[[], None], ears: INotify) -> None:
        super().__init__(path, on_change)
        self._ears = ears
        self._watched: tuple[int, int] | None = None
        """The log that is listened to, by its device and number."""
        self._pid = os.getpid()
        self._end, self._closer = os.pipe()
        self._closing, self._anything = select.poll(), select.poll()
        for poller in (self._closing, self._anything):
            poller.register(self._end, select.POLLIN)
        self._anything.register(ears.fileno(), select.POLLIN)

    def _run(self) -> None:
        try:
            super()._run()
        finally:
            self._ears.close()
            os.close(self._end)

    def _wake(self) -> None:
        # by a byte, since a process that was forked meanwhile keeps the pipe open; that one may tell its own
        # copy of this watch to end, of which there is no thread
        if os.getpid() == self._pid:
            with contextlib.suppress(BrokenPipeError):  # the thread has ended already
                os.write(self._closer, b"x")
        os.close(self._closer)

    def _pause(self, seconds: float) -> bool:
        return bool(self._closing.poll(seconds * 1000))

    def _follow(self, connection: sqlite3.Connection) -> None:
        self._watched = None
        while not self._closed:
            if not self._listens():
                # nobody has written yet, another log is being made, or no watch is granted: nothing is heard
                self._look(connection)
                self._pause(_LOOK_EVERY)
            elif self._anything.poll(_CHECK_EVERY * 1000):
                self._look_on(connection)
            else:
                # for what took longer to flush than :meth:`_look_on` waits
                self._look(connection)

    def _listens(self) -> bool:
        """Listen to the log that is there now; whether that was so already."""
        try:
            found = os.stat(self._log)
        except FileNotFoundError:
            self._watched = None
            return False
        log = (found.st_dev, found.st_ino)
        if log == self._watched:
            return True
        from inotify_simple import flags

        try:
            self._ears.add_watch(self._log, flags.MODIFY)
        except OSError as fault:
            _logger.debug("%s is looked at for writes: %s", self._log, fault)
        else:
            self._watched = log
        return False

    def _look_on(self, connection: sqlite3.Connection) -> None:
        """Something was written: look until what it was must have been seen."""
        heard_at, wait = float("-inf"), _FIRST
        while wait <= _LAST and not self._closed:
            if self._anything.poll(wait * 1000):
                # again: a little later it can be seen; and while writes go on, not all the time
                self._ears.read(timeout=0)
                if self._pause(max(_FIRST, heard_at + _BUSY - time.monotonic())):
                    return
                heard_at, wait = time.monotonic(), _FIRST
            self._look(connection)
            wait = 2 * wait


def watch_for(path: str, on_change: Callable[[], None]) -> Watch:
    """A watch of the file that has begun: one that hears where the kernel tells, else one that looks."""
    watch: Watch | None = None
    ears = _ears(path) if sys.platform == "linux" else None
    if ears is not None:
        try:
            watch = Hearing(path, on_change, ears)
        except OSError as fault:
            ears.close()
            _logger.debug("%s is looked at for writes: %s", path, fault)
    if watch is None:
        watch = Looking(path, on_change)
    watch.start()
    return watch


def _ears(path: str) -> INotify | None:
    """What hears of writes; ``None`` where the system grants none, or no more."""
    try:
        from inotify_simple import INotify, flags
    except ImportError as fault:
        _logger.debug("%s is looked at for writes: %s", path, fault)
        return None
    with contextlib.ExitStack() as stack:
        try:
            ears = INotify(nonblocking=True)
            stack.callback(ears.close)
            # of the file itself little is heard; it shows that listening is granted
            ears.add_watch(path, flags.MODIFY)
        except OSError as fault:
            _logger.debug("%s is looked at for writes: %s", path, fault)
            return None
        stack.pop_all()
        return ears
