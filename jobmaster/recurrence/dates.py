"""Sets of dates, held month by month as bit masks that are made when they are asked for.

Dates are day numbers, counted from 1970-01-01. A mask has bit d for day d of its month.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Protocol

from .clock import EPOCH_ORDINAL
from .daterules import ALL_YEARS, FIRST_YEAR, LAST_YEAR
from .monthdays import days_up_to
from .spans import FULL, NONE, Intersections, Spans, bits, common

_FIRST_DAY = date(FIRST_YEAR, 1, 1).toordinal() - EPOCH_ORDINAL
_LAST_DAY = date(LAST_YEAR, 12, 31).toordinal() - EPOCH_ORDINAL
_MONTHS_KEPT = 64
_ERAS_KEPT = 8
_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_EVERY_KIND = 56  # so many years hold every kind of year, a century without its leap day among them or not


class DatePattern(Protocol):
    """What a set of dates is made from: a rule that knows the matching days of any month."""

    @property
    def modulus(self) -> int:
        """Years match only in one remainder modulo this number."""

    @property
    def is_steady(self) -> bool:
        """Whether months of the same number, first weekday and length have the same dates in every year."""

    @property
    def months(self) -> int:
        """The months in which a date can match, as a mask."""

    @property
    def years(self) -> Spans:
        """The years in which a date can match, as spans."""

    def mask(self, year: int, month: int, first: int, length: int) -> int: ...


class WallTest(Protocol):
    """A condition on wall times: a window, or the absence of an exception."""

    @property
    def dated(self) -> bool:
        """Whether the answer depends on the date."""

    @property
    def is_steady(self) -> bool:
        """Whether the answer does not depend on the year."""

    @property
    def years(self) -> Spans:
        """Spans of years outside of which nothing satisfies it."""

    def era(self, year: int) -> int:
        """Years of one number are alike, but for their calendars."""

    def spans(self, year: int, month: int, day: int, first: int, length: int) -> Spans:
        """The seconds of a date that satisfy it; ``first`` is the weekday of the month's first day."""

    def holds_all(self, year: int, month: int) -> bool:
        """Whether it is known that every second of a month satisfies it."""


class Cells(Protocol):
    """A cadence's choice among dates."""

    def select(self, mask: int, before: int) -> int:
        """Of the days of a month, given as a mask, those in a chosen cell; ``before``: the date before it."""

    def jump(self, day: int) -> int:
        """A day number from ``day`` on before which no date is chosen."""


class DateSet:
    """The dates that match a rule and, at some time of the day that ``accept`` likes, every test.

    What is kept is bounded, and each part of it can be made again from nothing: looking up a
    date changes no answer, in this thread or in another.
    """

    __slots__ = (
        "_accept",
        "_accepted",
        "_by_era",
        "_cells",
        "_common",
        "_kept",
        "_latest",
        "_months",
        "_steady",
        "rule",
        "tests",
        "years",
    )

    def __init__(
        self,
        rule: DatePattern,
        tests: Iterable[WallTest] = (),
        cells: Cells | None = None,
        accept: Callable[[Spans], bool] = bool,
    ) -> None:
        self.rule = rule
        self.tests = tuple(test for test in tests if test.dated)
        self._accept = accept
        self._accepted: dict[int, tuple[Spans, bool]] = {}  # by the very sets, which are few
        self._common = Intersections()
        self._cells = cells
        self._kept: dict[int, int] = {}
        self._months = rule.months
        self._steady = rule.is_steady and all(test.is_steady for test in self.tests)
        self._by_era: dict[tuple[int, ...], tuple[dict[int, int], dict[int, Spans]]] = {}
        # the last year that was asked about, with what is kept of its era: masks by the shape of the month,
        # and seconds by shape and day
        self._latest: tuple[int, tuple[dict[int, int], dict[int, Spans]]] = (0, ({}, {}))
        self.years = rule.years
        for test in self.tests:
            self.years = _within(self.years, test.years)

    def mask(self, month: int) -> int:
        """The matching days of a month, counted from January of the year 0."""
        known = self._kept.get(month)
        if known is None:
            known = self._make(month)
            if len(self._kept) >= _MONTHS_KEPT:
                self._kept.clear()
            self._kept[month] = known
        return known

    def has(self, day: int) -> bool:
        if not _FIRST_DAY <= day <= _LAST_DAY:
            return False
        at = date.fromordinal(day + EPOCH_ORDINAL)
        return bool(self.mask(at.year * 12 + at.month - 1) >> at.day & 1)

    def next(self, day: int, last: int) -> int | None:
        """The first matching date from ``day`` to ``last``."""
        day = max(day, _FIRST_DAY)
        last = min(last, _LAST_DAY)
        if self._steady and self._cells is None:
            return self._next_steady(day, last)
        while day <= last:
            if self._cells is not None:
                day = self._cells.jump(day)
                if day > last:
                    break
            at = date.fromordinal(day + EPOCH_ORDINAL)
            month = at.year * 12 + at.month - 1
            if self._months >> at.month & 1:  # else there is no mask to make
                left = self.mask(month) >> at.day
                if left:
                    found = day + (left & -left).bit_length() - 1
                    return found if found <= last else None
            following = self._following(month)
            if following is None:
                break
            day = first_day(following)
        return None

    def _next_steady(self, day: int, last: int) -> int | None:
        """``next`` without a cadence, where only a month's number, first weekday and length matter."""
        at = date.fromordinal(day + EPOCH_ORDINAL)
        year, number = at.year, at.month
        shapes = self._era(year)[0]  # that of every year
        skipped = at.day
        before = day - skipped
        while before < last:
            length = _LENGTHS[number]
            if number == 2 and not year & 3 and (year % 100 or not year % 400):
                length = 29
            if self._months >> number & 1:
                first = (before + 5) % 7
                mask = shapes.get(number << 8 | length << 3 | first)
                if mask is None:
                    mask = self._shaped(year, number, first, length)
                left = mask >> skipped
                if left:
                    found = before + skipped + (left & -left).bit_length() - 1
                    return found if found <= last else None
            before += length
            skipped = 1
            number += 1
            if number > 12:
                year, number = year + 1, 1
        return None

    def between(self, day: int, last: int) -> list[int]:
        """Every matching date from ``day`` to ``last``, in order; its cost grows with the months between."""
        found: list[int] = []
        following = self.next(day, last)
        while following is not None:
            at = date.fromordinal(following + EPOCH_ORDINAL)
            month, before = at.year * 12 + at.month - 1, following - at.day
            left = self.mask(month) >> at.day << at.day & days_up_to(min(last - before, 31))
            found += [before + number for number in bits(left)]
            following = self.next(before + _length(month) + 1, last)
        return found

    def run_start(self, day: int, least: int) -> int:
        """The first date of the unbroken run of matches that ends with ``day``, not before ``least``."""
        at = date.fromordinal(day + EPOCH_ORDINAL)
        month, number = at.year * 12 + at.month - 1, at.day
        start = day - number  # the day before the month's first
        while True:
            gap = (~self.mask(month) & ((1 << (number + 1)) - 2)).bit_length() - 1
            if gap > 0:
                return max(start + gap + 1, least)
            if start < least or start < _FIRST_DAY:
                return max(start + 1, least)
            month -= 1
            number = _length(month)
            start -= number

    def run_end(self, day: int, last: int) -> int:
        """The last date of the unbroken run of matches that begins with ``day``, not after ``last``."""
        at = date.fromordinal(day + EPOCH_ORDINAL)
        month, number = at.year * 12 + at.month - 1, at.day
        while True:
            length = _length(month)
            missing = (~self.mask(month) & days_up_to(length)) >> number
            if missing:
                return min(day + (missing & -missing).bit_length() - 2, last)
            day += length - number + 1
            if day > last:
                return last
            month, number = month + 1, 1

    def longest_run(self, most: int) -> int | None:
        """How many matching dates follow each other at most; ``None`` for more than ``most``, or if years
        differ."""
        if not self._steady or self._cells is not None:
            return None
        longest = run = 0
        for year in range(2000, 2029):
            for number in range(1, 13):
                month = year * 12 + number - 1
                mask = self._plain(month)[0]
                for day in range(1, _length(month) + 1):
                    run = run + 1 if mask >> day & 1 else 0
                    longest = max(longest, run)
                if longest > most:
                    return None
        return longest

    def with_month_before(self, month: int) -> tuple[int, int]:
        """The number of days of the month before, and a mask of its matching days and those of the month: bit
        0 is the first of the month before, and the next month follows without a gap."""
        if month <= FIRST_YEAR * 12:
            return 31, self.mask(month) >> 1 << 31
        before = _length(month - 1)
        return before, self.mask(month - 1) >> 1 | self.mask(month) >> 1 << before

    def kinds_of_day(self) -> list[Spans] | None:
        """Every set of seconds that the dated tests leave of any date; ``None`` if years differ."""
        if not self._steady:
            return None
        found: dict[int, Spans] = {}
        for number in bits(self._months):
            for length in (28, 29) if number == 2 else (_LENGTHS[number],):
                for first in range(7):
                    for day in bits(self.rule.mask(2000, number, first, length)):
                        spans = self._spans(2000, number, day, first, length)
                        found[id(spans)] = spans
        return list(found.values())

    def spans(self, day: int) -> Spans:
        """The seconds of a date that satisfy every dated test."""
        if not self.tests:
            return FULL
        at = date.fromordinal(day + EPOCH_ORDINAL)
        first = (day - at.day + 5) % 7
        return self._spans(at.year, at.month, at.day, first, monthrange(at.year, at.month)[1])

    def exists(self) -> bool:
        """Whether any date matches, the cadence left aside: in the years named, else in a calendar cycle."""
        return any(self._plain(month)[0] for month in self._sample())

    def _sample(self) -> Iterator[int]:
        """Months enough to show whether any matches."""
        if self._steady:  # a year of each length for every first weekday
            for year in (*range(2001, 2012), *range(2000, 2028, 4)):
                yield from (year * 12 + number - 1 for number in bits(self._months))
            return
        for start, end in self.years:
            low = 2000 if start == FIRST_YEAR else start
            count = _EVERY_KIND if self.rule.modulus == 1 else 400
            for year in range(low, min(end, low + count)):
                for number in bits(self._months):
                    yield year * 12 + number - 1

    def _make(self, month: int) -> int:
        mask, before = self._plain(month)
        if mask and self._cells is not None:
            mask = self._cells.select(mask, before)
        return mask

    def _plain(self, month: int) -> tuple[int, int]:
        year, number = divmod(month, 12)
        number += 1
        before = date(year, number, 1).toordinal() - EPOCH_ORDINAL - 1
        first = (before + 5) % 7
        length = monthrange(year, number)[1]
        return self._shaped(year, number, first, length), before

    def _shaped(self, year: int, number: int, first: int, length: int) -> int:
        """The matching days of a month, the cadence left aside; kept by era and shape if they decide."""
        shapes = self._era(year)[0]
        key = number << 8 | length << 3 | first
        known = shapes.get(key)
        if known is not None:
            return known
        mask = self.rule.mask(year, number, first, length)
        if mask and not all(test.holds_all(year, number) for test in self.tests):
            for day in bits(mask):
                if not self._accepts(self._spans(year, number, day, first, length)):
                    mask ^= 1 << day
        if self.rule.is_steady:
            shapes[key] = mask
        return mask

    def _spans(self, year: int, month: int, day: int, first: int, length: int) -> Spans:
        times = self._era(year)[1]
        key = ((month << 3 | first) << 2 | length - 28) << 5 | day
        known = times.get(key)
        if known is None:
            known = FULL
            for test in self.tests:
                known = self._common(known, test.spans(year, month, day, first, length))
                if not known:
                    known = NONE
                    break
            times[key] = known
        return known

    def _era(self, year: int) -> tuple[dict[int, int], dict[int, Spans]]:
        """What is kept of the years that the tests do not tell from this one."""
        known, kept = self._latest
        if known != year:
            if len(self._by_era) >= _ERAS_KEPT:
                self._by_era.clear()
            kept = self._by_era.setdefault(tuple(test.era(year) for test in self.tests), ({}, {}))
            self._latest = (year, kept)
        return kept

    def _accepts(self, spans: Spans) -> bool:
        known = self._accepted.get(id(spans))
        if known is None:
            if len(self._accepted) >= _MONTHS_KEPT:
                self._accepted.clear()
            known = self._accepted[id(spans)] = (spans, self._accept(spans))
        return known[1]

    def _following(self, month: int) -> int | None:
        """The next month in which the rule can match."""
        year, number = divmod(month + 1, 12)
        left = self._months >> (number + 1)
        if left:
            number += (left & -left).bit_length() - 1
        else:
            year += 1
            number = (self._months & -self._months).bit_length() - 2
        for start, end in self.years:
            if year < end and self._months:
                if year >= start:
                    return year * 12 + number
                return start * 12 + (self._months & -self._months).bit_length() - 2
        return None


def _within(left: Spans, right: Spans) -> Spans:
    return left if right == ALL_YEARS else common(left, right)


def first_day(month: int) -> int:
    """The day number of the first of a month."""
    year, number = divmod(month, 12)
    return date(year, number + 1, 1).toordinal() - EPOCH_ORDINAL


def weekday(day: int) -> int:
    """The weekday of a day number, Sunday = 0."""
    return (day + 4) % 7


def _length(month: int) -> int:
    year, number = divmod(month, 12)
    return monthrange(year, number + 1)[1]
