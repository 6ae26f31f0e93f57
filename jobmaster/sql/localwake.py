"""Wake-ups within one process, for stores that cannot send any: polling finds the work of other processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from weakref import WeakValueDictionary

__all__ = ["LocalBell"]

_bells: WeakValueDictionary[str, LocalBell] = WeakValueDictionary()
"""Bells by store, so that every cluster of the process that uses one store hears the others. A bell lives as
long as somebody listens or is ringing it."""
_bells_lock = threading.Lock()


class LocalBell:
    """Tells the listeners of this process that one store has new work, after the commit that brought it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[_Listening, ...] = ()

    @staticmethod
    def of(store: str) -> LocalBell:
        """The bell of the store that goes by this name in the process."""
        with _bells_lock:
            bell = _bells.get(store)
            if bell is None:
                bell = _bells[store] = LocalBell()
            return bell

    def ring(self, lanes: Collection[str]) -> None:
        """Call every listener for each lane."""
        for listening in self._listeners:
            for lane in lanes:
                listening.hear(lane)

    def listen(self, on_wake: Callable[[str | None], None]) -> _Listening:
        """Call ``on_wake`` from now on."""
        listening = _Listening(self, on_wake)
        with self._lock:
            self._listeners = (*self._listeners, listening)
        return listening

    def leave(self, listening: _Listening) -> None:
        """Take a listener out."""
        with self._lock:
            self._listeners = tuple(other for other in self._listeners if other is not listening)


class _Listening:
    """One subscription. Keeps its bell alive."""

    def __init__(self, bell: LocalBell, on_wake: Callable[[str | None], None]) -> None:
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
