"""Sets of seconds of a day, as sorted, disjoint, half-open spans ``(from, to)``."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache

from .clock import DAY

Spans = tuple[tuple[int, int], ...]

DayKinds = tuple[tuple[int, Spans], ...]
"""The days of a month by their seconds: disjoint masks, bit d for day d; a day in none has no second."""

FULL: Spans = ((0, DAY),)
NONE: Spans = ()
_MOST_KEPT = 256
_FEW = 16
MANY = 512
"""Spans beyond which sets are combined as bits."""
_RUN = re.compile("1+")
_HOUR = 3600
_ONE_HOUR = (1 << _HOUR) - 1


def united(spans: Iterable[tuple[int, int]]) -> Spans:
    """The union of any spans."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if low >= high:
            continue
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def common(left: Spans, right: Spans) -> Spans:
    """The intersection of two sets."""
    if left == FULL:
        return right
    if right == FULL:
        return left
    if len(left) + len(right) > MANY:
        if len(left) < _FEW or len(right) < _FEW:
            return _cut(left, right) if len(left) > len(right) else _cut(right, left)
        return spans_of(second_mask(left) & second_mask(right))
    found = []
    i = j = 0
    while i < len(left) and j < len(right):
        low = max(left[i][0], right[j][0])
        high = min(left[i][1], right[j][1])
        if low < high:
            found.append((low, high))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def _cut(many: Spans, few: Spans) -> Spans:
    """The intersection of a set of many spans and one of few, by their places."""
    found: list[tuple[int, int]] = []
    for low, high in few:
        start, end = bisect_left(many, (low,)), bisect_left(many, (high,))
        if start > 0 and many[start - 1][1] > low:
            found.append((low, min(many[start - 1][1], high)))
        found += many[start:end]
        if end > start and many[end - 1][1] > high:
            found[-1] = (many[end - 1][0], high)
    return tuple(found)


class Intersections:
    """Intersections, kept by the very objects that were asked about: sets of a day are few and made once, but
    a set such as some seconds of every minute has thousands of spans. Holds a bounded number of them."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[Spans, Spans, Spans]] = {}

    def __call__(self, left: Spans, right: Spans) -> Spans:
        if left is FULL:
            return right
        if right is FULL:
            return left
        key = (id(left), id(right))
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            # with those asked about, so that their identities are nobody else's
            known = self._known[key] = (left, right, common(left, right))
        return known[2]


def second_mask(spans: Spans) -> int:
    """The set as bits, bit s for second s of the day: what sets of many spans are combined by."""
    if len(spans) < _FEW:
        mask = 0
        for low, high in spans:
            mask |= (1 << high) - (1 << low)
        return mask
    pieces: list[str] = []
    at = 0
    for low, high in spans:
        pieces += ("0" * (low - at), "1" * (high - low))
        at = high
    return int("".join(pieces)[::-1], 2)


def spans_of(mask: int) -> Spans:
    """The set whose seconds of the day are the bits of a mask."""
    found: list[tuple[int, int]] = []
    left = mask
    while left and len(found) < _FEW:
        low = (left & -left).bit_length() - 1
        high = low + (~(left >> low) & -~(left >> low)).bit_length() - 1
        found.append((low, high))
        left &= -1 << high
    return _by_hours(mask) if left else FULL if found == [(0, DAY)] else tuple(found)


def _by_hours(mask: int) -> Spans:
    """``spans_of`` for many spans, which are mostly the same in every hour."""
    known: dict[int, list[tuple[int, int]]] = {}
    found: list[tuple[int, int]] = []
    for start in range(0, DAY, _HOUR):
        part = mask >> start & _ONE_HOUR
        runs = known.get(part)
        if runs is None:
            runs = known[part] = [match.span() for match in _RUN.finditer(f"{part:b}"[::-1])]
        if not part:
            continue
        if found and runs[0][0] == 0 and found[-1][1] == start:
            found[-1] = (found[-1][0], start + runs[0][1])
            runs = runs[1:]
        found += [(start + low, start + high) for low, high in runs]
    return tuple(found)


@lru_cache(maxsize=16)
def repeated(step: int, count: int) -> int:
    """A bit at 0 and at every step after it, so many of them."""
    return ((1 << step * count) - 1) // ((1 << step) - 1) if count > 1 else count


def inverted(spans: Spans) -> Spans:
    """The rest of the day."""
    if spans == FULL:
        return NONE
    if not spans:
        return FULL
    rest = []
    low = 0
    for start, end in spans:
        if start > low:
            rest.append((low, start))
        low = end
    if low < DAY:
        rest.append((low, DAY))
    return tuple(rest)


def union(sets: Sequence[Spans]) -> Spans:
    """The union of some sets."""
    if sum(map(len, sets)) < MANY:
        return united(span for one in sets for span in one)
    mask = 0
    for one in sets:
        mask |= second_mask(one)
    return spans_of(mask)


def span_of(spans: Spans, second: int) -> tuple[int, int] | None:
    """The span that holds a second of the day."""
    index = bisect_right(spans, (second, DAY)) - 1
    return spans[index] if index >= 0 and second < spans[index][1] else None


def holds(spans: Spans, second: int) -> bool:
    return span_of(spans, second) is not None


def clock_mask(hours: int, minutes: int, seconds: int) -> int:
    """The seconds of the day, as bits, whose hour, minute and second are in three bit masks."""
    minute = hour = 0
    if minutes == ALL_60:
        minute = seconds * repeated(60, 60)
    else:
        for number in bits(minutes):
            minute |= seconds << number * 60
    if hours == ALL_24:
        return minute * repeated(3600, 24)
    for number in bits(hours):
        hour |= minute << number * 3600
    return hour


ALL_24 = (1 << 24) - 1
ALL_60 = (1 << 60) - 1


def bits(mask: int) -> list[int]:
    """The numbers of the bits that are set, in order."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


def mask_of(values: Iterable[int]) -> int:
    mask = 0
    for value in values:
        mask |= 1 << value
    return mask
