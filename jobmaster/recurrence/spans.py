"""Sets of seconds of a day, as sorted, disjoint, half-open spans ``(from, to)``."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from .clock import DAY

Spans = tuple[tuple[int, int], ...]

DayKinds = tuple[tuple[int, Spans], ...]
"""The days of a month by their seconds: disjoint masks, bit d for day d; a day in none has no second."""

FULL: Spans = ((0, DAY),)
NONE: Spans = ()
_MOST_KEPT = 256


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


def span_of(spans: Spans, second: int) -> tuple[int, int] | None:
    """The span that holds a second of the day."""
    index = bisect_right(spans, (second, DAY)) - 1
    return spans[index] if index >= 0 and second < spans[index][1] else None


def holds(spans: Spans, second: int) -> bool:
    return span_of(spans, second) is not None


def of_clock(hours: int, minutes: int, seconds: int) -> Spans:
    """The seconds of the day whose hour, minute and second are in three bit masks."""
    if seconds == ALL_60 and minutes == ALL_60:
        return united((hour * 3600, hour * 3600 + 3600) for hour in bits(hours))
    if seconds == ALL_60:
        return united(
            (hour * 3600 + minute * 60, hour * 3600 + minute * 60 + 60)
            for hour in bits(hours)
            for minute in bits(minutes)
        )
    return united(
        (at, at + 1)
        for hour in bits(hours)
        for minute in bits(minutes)
        for at in (hour * 3600 + minute * 60 + second for second in bits(seconds))
    )


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
