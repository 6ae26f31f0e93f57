"""Wake-ups on SQLite: at once within the process, soon from other processes."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection
from urllib.parse import quote
from weakref import WeakValueDictionary

__all__ = ["Bell"]

_LOOK_EVERY = 0.03
_COARSE = 0.1
"""Seconds for which the time of the last write may be too coarse to tell the next one from it."""

_bells: WeakValueDictionary[str, Bell] = WeakValueDictionary()
"""Bells by file, so that every cluster of the process that uses one file hears the others. A bell lives as
long as somebody listens or is ringing it."""
_bells_lock = threading.Lock()


class Bell:
    """Tells the listeners of this process that one database file has new work.

    Writes of this process ring it after their commit. While somebody listens, a thread also watches the
    file's ``data_version``, which changes with every commit of another process, and then rings without a
    lane: what changed is not known.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._listeners: tuple[_Listening, ...] = ()
        self._watch: _Watch | None = None

    @staticmethod
    def of(path: str) -> Bell:
        """The bell of this file."""
        real = os.path.realpath(path)
        with _bells_lock:
            bell = _bells.get(real)
            if bell is None:
                bell = _bells[real] = Bell(real)
            return bell

    def ring(self, lanes: Collection[str | None]) -> None:
        """Call every listener for each lane."""
        for listening in self._listeners:
            for lane in lanes:
                listening.hear(lane)

    def listen(self, on_wake: Callable[[str | None], None]) -> _Listening:
        """Call ``on_wake`` from now on."""
        listening = _Listening(self, on_wake)
        with self._lock:
            self._listeners = (*self._listeners, listening)
            if self._watch is None:
                self._watch = _Watch(self._path, lambda: self.ring((None,)))
        return listening

    def leave(self, listening: _Listening) -> None:
        """Take a listener out; the last one ends the watch."""
        with self._lock:
            self._listeners = tuple(other for other in self._listeners if other is not listening)
            watch = None
            if not self._listeners:
                watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()


class _Listening:
    """One subscription. Keeps its bell alive."""

    def __init__(self, bell: Bell, on_wake: Callable[[str | None], None]) -> None:
        self._bell = bell
        self._on_wake = on_wake
        self._lock = threading.RLock()
        self._open = True

    def hear(self, lane: str | None) -> None:
        """Pass a wake-up on, unless closed."""
        with self._lock:
            if self._open:
                self._on_wake(lane)

    def close(self) -> None:
        """Stop; no call-back comes after this returns."""
        with self._lock:
            self._open = False
        self._bell.leave(self)


class _Watch:
    """Notices commits of other processes (and of this one: an extra hint does no harm).

    Each changes the ``data_version`` of other connections. That is asked for only while the log is being
    written, since an idle process would spend most of its time on it.
    """

    def __init__(self, path: str, on_change: Callable[[], None]) -> None:
        self._path = path
        self._log = f"{path}-wal"
        self._on_change = on_change
        self._closed = False
        self._closing = threading.Lock()
        """Held until the end: to wait for it takes a quarter of the steps that waiting for an event does."""
        self._closing.acquire()
        self._thread = threading.Thread(target=self._run, name="jobmaster-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._closing.release()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._follow()
                return
            except sqlite3.Error:
                # The file may be locked or being replaced; polling finds the work meanwhile.
                if self._closed or self._closing.acquire(timeout=1.0):
                    return

    def _follow(self) -> None:
        connection = sqlite3.connect(f"file:{quote(self._path)}?mode=ro", uri=True, timeout=1.0)
        try:
            last: int | None = None
            written: tuple[int, int] | None = None
            while True:
                before, written = written, self._written()
                if written is None or written != before or abs(time.time() - written[0] / 1e9) < _COARSE:
                    (version,) = connection.execute("PRAGMA data_version").fetchone()
                    if version != last:
                        # At the first look too: nobody knows what was missed before it.
                        self._on_change()
                    last = version
                if self._closing.acquire(timeout=_LOOK_EVERY):
                    return
        finally:
            connection.close()

    def _written(self) -> tuple[int, int] | None:
        """When the log was written last and how long it is: a fraction of the price of asking SQLite."""
        try:
            found = os.stat(self._log)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size
