"""Wake-ups on SQLite: at once within the process, soon from other processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection
from weakref import WeakValueDictionary

from .sqlitewatch import Watch, watch_for

__all__ = ["Bell"]

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
        self._watch: Watch | None = None

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
            before = self._listeners
            self._listeners = (*before, listening)
            if self._watch is None or not self._watch.alive:
                if self._watch is not None:
                    self._watch.close()
                    self._watch = None
                try:
                    self._watch = watch_for(self._path, lambda: self.ring((None,)))
                except BaseException:
                    self._listeners = before
                    raise
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
