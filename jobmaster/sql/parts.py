"""The parts of a partitioned history: which there should be, and what they are called.

An id begins with the instant at which it was made, in milliseconds (version 7; version 8: the instant of the
occurrence), so a range of ids is a span of time. A part is called after its end: ``p`` and those 48 bits in
hexadecimal digits. Whatever falls into no part is kept by :data:`REST`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from .tables import EPOCH

__all__ = ["REST", "Part", "end_of", "first_end", "first_id", "missing", "name_of", "span_of"]

REST = "rest"
"""What the part is called that takes every id for which there is no other."""
_NAME = re.compile(r"p([0-9a-f]{12})")
_SHORTEST, _LONGEST = timedelta(hours=1), timedelta(days=7)
_PARTS = 30
"""In about so many parts what is kept is divided."""
_AHEAD = 3
"""So many spans are there before they begin."""
_FIRST = timedelta(days=1)
_MILLISECOND = timedelta(milliseconds=1)


class Part(NamedTuple):
    """The ids made from ``begin`` on, before ``end``."""

    begin: datetime
    end: datetime


def span_of(retention: timedelta | None) -> timedelta:
    """How much time a part spans: a thirtieth of the retention in whole hours, a week at most."""
    if retention is None:
        return _LONGEST
    hours = round(retention / _PARTS / _SHORTEST)
    return min(max(hours * _SHORTEST, _SHORTEST), _LONGEST)


def missing(now: datetime, ends: Iterable[datetime], span: timedelta) -> list[Part]:
    """The parts to add to those with these ends. None begins in a span that has passed: the ids of that are
    in the rest already."""
    begin = max([_floor(now, span), *ends])
    parts = []
    while begin < now + _AHEAD * span:
        end = _floor(begin, span) + span
        parts.append(Part(begin, end))
        begin = end
    return parts


def first_end(now: datetime) -> datetime:
    """Where the part ends that a history becomes which was one table: at midnight, but not right now, since
    coordinators make the parts that follow."""
    return _floor(now + _SHORTEST, _FIRST) + _FIRST


def name_of(end: datetime) -> str:
    """What the part with this end is called."""
    return f"p{_millis(end):012x}"


def end_of(name: str) -> datetime | None:
    """The end of the part of this name; ``None`` for a name that no part has."""
    found = _NAME.fullmatch(name)
    return None if found is None else EPOCH + int(found.group(1), 16) * _MILLISECOND


def first_id(instant: datetime) -> UUID:
    """The least of the ids made at an instant or later."""
    return UUID(int=_millis(instant) << 80)


def _millis(instant: datetime) -> int:
    return (instant - EPOCH) // _MILLISECOND


def _floor(instant: datetime, span: timedelta) -> datetime:
    return EPOCH + (instant - EPOCH) // span * span
