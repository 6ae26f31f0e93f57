"""A history in parts: making those to come, and retention by taking away whole ones.

A part goes when the last of its jobs ended long enough ago, which is looked at under the lock that taking it
out needs. It is first taken out of the history, in a moment, and then swept: the attempts of its jobs are
deleted, at leisure, and last the table that it has become. Each step is a transaction of its own, or is
found again by what it left, so a coordinator may die between any two of them. One of them works at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from ..errors import TransientStoreError
from ..ports.master import Tended
from .parts import Part, missing, span_of

if TYPE_CHECKING:
    from .dialect import Names
    from .gateway import Gateway, Tx

__all__ = ["Partitioning", "Parts", "RangeTaken", "tend"]

_MICROSECOND = timedelta(microseconds=1)
_SWEPT = 1000
"""Attempts that are deleted in one transaction."""


class Parts(NamedTuple):
    """The ends of the parts: of those that the history has, oldest first, and of those taken out of it."""

    inside: list[datetime]
    outside: list[datetime]


class RangeTaken(Exception):
    """The rest has ids of a part that was to be made: they stay where they are."""


class Partitioning(ABC):
    """How an engine keeps the history in parts."""

    envelope: tuple[str, str] | None = None
    """What is said before and after the conversion, where it can be undone as a whole."""

    @abstractmethod
    def conversion(self, names: Names, history: sa.Table, end: datetime) -> list[str]:
        """The statements that make the history one of parts: what it has becomes the part with this end."""

    @abstractmethod
    def conversion_session(self, cursor: object) -> None:
        """See to it that the conversion does not wait for long while others wait behind it."""

    @abstractmethod
    def look(self, tx: Tx) -> Parts | None:
        """The parts; ``None`` when the history is one table."""

    @abstractmethod
    def turn(self, tx: Tx) -> AbstractContextManager[bool]:
        """Whether nobody else makes or takes away parts meanwhile, at least until the end of the block."""

    @abstractmethod
    def make(self, tx: Tx, part: Part) -> None:
        """Add a part, empty. Raises :class:`RangeTaken`."""

    @abstractmethod
    def take_out(self, tx: Tx, end: datetime, age: int) -> None:
        """Make a table of its own of the part with this end, unless one of its jobs ended less than ``age``
        microseconds ago."""

    @abstractmethod
    def sweep(self, tx: Tx, end: datetime, limit: int) -> None:
        """Delete up to ``limit`` attempts of the jobs in a part that was taken out; if there are no more,
        delete the part."""


def tend(gateway: Gateway, retention: timedelta | None) -> Tended:
    """See :meth:`..ports.master.MasterStore.tend_history`."""
    partitioning = gateway.dialect.partitioning
    if partitioning is None:
        return Tended()

    def look(tx: Tx) -> tuple[Parts, datetime] | None:
        parts = partitioning.look(tx)
        return None if parts is None else (parts, tx.now())

    found = gateway.read("history_parts", look)
    return Tended() if found is None else _Tender(gateway, partitioning, retention).run(*found)


class _Tender:
    """One pass over the parts."""

    def __init__(self, gateway: Gateway, partitioning: Partitioning, retention: timedelta | None) -> None:
        self._gateway = gateway
        self._partitioning = partitioning
        self._retention = retention

    def run(self, parts: Parts, now: datetime) -> Tended:
        """Each kind of work by itself: what is in the way of one must not keep the others."""
        span = span_of(self._retention)
        self._unless_busy(lambda: self._make(missing(now, parts.inside, span)))
        if self._retention is not None:
            old = [end for end in parts.inside if end <= now - self._retention]
            age = self._retention // _MICROSECOND
            self._unless_busy(lambda: self._take_out(old, age))
        return Tended(span, self._unless_busy(self._sweep))

    def _unless_busy(self, work: Callable[[], bool]) -> bool:
        """Whether there is more of this work to do at once. What has to wait, as when somebody reads a part,
        is tried again with the next pass."""
        try:
            return work()
        except TransientStoreError:
            return False

    def _make(self, parts: Sequence[Part]) -> bool:
        for part in parts:

            def act(tx: Tx, found: Parts, part: Part = part) -> bool:
                if all(end <= part.begin for end in found.inside):
                    self._partitioning.make(tx, part)
                return False

            try:
                self._gateway.transaction("history_make", self._in_turn(act), timeout=0)
            except RangeTaken:
                continue
        return False

    def _take_out(self, ends: Sequence[datetime], age: int) -> bool:
        for end in ends:

            def act(tx: Tx, found: Parts, end: datetime = end) -> bool:
                if end in found.inside and end not in found.outside:
                    self._partitioning.take_out(tx, end, age)
                return False

            self._gateway.transaction("history_take_out", self._in_turn(act), timeout=0)
        return False

    def _sweep(self) -> bool:
        def act(tx: Tx, found: Parts) -> bool:
            if found.outside:
                self._partitioning.sweep(tx, found.outside[0], _SWEPT)
            return bool(found.outside)

        return self._gateway.transaction("history_sweep", self._in_turn(act))

    def _in_turn(self, act: Callable[[Tx, Parts], bool]) -> Callable[[Tx], bool]:
        """``act`` on the parts there are, if it is this coordinator's turn."""

        def work(tx: Tx) -> bool:
            with self._partitioning.turn(tx) as mine:
                found = self._partitioning.look(tx) if mine else None
                return found is not None and act(tx, found)

        return work
