"""Sets of dates, held month by month as bit masks that are made when they are asked for.

Dates are day numbers, counted from 1970-01-01. A mask has bit d for day d of its month.
"""

from __future__ import annotations

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import date
from itertools import pairwise
from typing import Protocol

from .clock import EPOCH_ORDINAL
from .daterules import FIRST_YEAR, LAST_YEAR, DatePattern
from .eras import DayTests, within
from .monthdays import days_up_to
from .months import LENGTHS, first_day, length_of, months_of, new_year
from .spans import FULL, NONE, DayKinds, Spans, bits

_FIRST_DAY = date(FIRST_YEAR, 1, 1).toordinal() - EPOCH_ORDINAL
_LAST_DAY = date(LAST_YEAR, 12, 31).toordinal() - EPOCH_ORDINAL
_MONTHS_KEPT = 64
_ERAS_KEPT = 16
_EVERY_KIND = 56  # so many years hold every kind of year, a century without its leap day among them or not
_WHOLE_DAYS: DayKinds = ((-1, FULL),)
_CYCLE = 400  # after so many years the calendar comes again


class Cells(Protocol):
    """A cadence's choice among dates."""

    def select(self, mask: int, before: int) -> int:
        """Of the days of a month, given as a mask, those in a chosen cell; ``before``: the date before it."""

    def jump(self, day: int) -> int:
        """A day number from ``day`` on before which no date is chosen."""


class _Era:
    """What is kept of years that differ only by their calendars."""

    __slots__ = ("shapes", "whole")

    def __init__(self) -> None:
        # By the shape of a month, its number, length and first weekday: the matching days, and the days by
        # the seconds that the tests leave of them.
        self.shapes: dict[int, tuple[int, DayKinds]] = {}
        # By the first weekday of a year and its leap day: whether every date of it matches.
        self.whole: dict[tuple[int, bool], bool] = {}


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
        "_days",
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
        tests: DayTests | None = None,
        cells: Cells | None = None,
        accept: Callable[[Spans], bool] = bool,
    ) -> None:
        self.rule = rule
        self.tests = DayTests() if tests is None else tests
        self._accept = accept
        self._accepted: dict[int, tuple[Spans, bool]] = {}  # by the very sets, which are few
        self._cells = cells
        self._kept: dict[int, int] = {}
        self._days: dict[int, Spans] = {}
        self._months = rule.months
        self._steady = rule.is_steady and not self.tests.edges
        self._by_era: dict[tuple[object, ...], _Era] = {}
        self._latest = (0, _Era())  # the last year that was asked about
        self.years = within(rule.years, self.tests.years)

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
        if self._cells is None:
            return self._next_plain(day, last) if day <= last else None
        while day <= last:
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
            if following is None or (day := first_day(following)) > last:
                break
            plain = self._next_plain(day, last)  # months without any match are passed over at once
            if plain is None:
                break
            day = plain
        return None

    def _next_plain(self, day: int, last: int) -> int | None:
        """``next`` without a cadence, where only a month's shape matters while an era lasts."""
        at = date.fromordinal(day + EPOCH_ORDINAL)
        year, number = at.year, at.month
        shapes = self._era(year).shapes
        skipped = at.day
        before = day - skipped
        while before < last:
            length = LENGTHS[number]
            if number == 2 and not year & 3 and (year % 100 or not year % 400):
                length = 29
            if self._months >> number & 1:
                first = (before + 5) % 7
                known = shapes.get(number << 8 | length << 3 | first)
                if known is None:
                    known = self._shaped(year, number, first, length)
                left = known[0] >> skipped
                if left:
                    found = before + skipped + (left & -left).bit_length() - 1
                    return found if found <= last else None
            before += length
            skipped = 1
            number += 1
            if number > 12:
                year, number = year + 1, 1
                if not self._steady and before < last:
                    following = self._following(year * 12 - 1)
                    if following is None:
                        return None
                    if following > year * 12 + 11:
                        year = following // 12
                        before = first_day(year * 12) - 1
                    shapes = self._era(year).shapes
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
            following = self.next(before + length_of(month) + 1, last)
        return found

    def window(self, day: int, count: int) -> int:
        """Which of so many dates from ``day`` on match, at most a month of them: bit 0 is ``day``."""
        at = date.fromordinal(day + EPOCH_ORDINAL)
        month = at.year * 12 + at.month - 1
        mask = self.mask(month) >> at.day
        left = length_of(month) - at.day + 1
        if count > left and month < LAST_YEAR * 12 + 11:
            mask |= self.mask(month + 1) >> 1 << left
        return mask & (1 << count) - 1

    def run_start(self, day: int, least: int) -> int:
        """The first date of the unbroken run of matches that ends with ``day``, not before ``least``."""
        at = date.fromordinal(day + EPOCH_ORDINAL)
        month, number = at.year * 12 + at.month - 1, at.day
        start = day - number  # the day before the month's first
        while True:
            gap = (~self.mask(month) & ((1 << (number + 1)) - 2)).bit_length() - 1
            if gap > 0:
                return max(start + gap + 1, least)
            if month % 12 == 0 and self._cells is None:
                month = 12 * self._whole_years(month // 12 - 1, -1, least) + 12
                start = first_day(month) - 1
            if start < least or start < _FIRST_DAY:
                return max(start + 1, least)
            month -= 1
            number = length_of(month)
            start -= number

    def run_end(self, day: int, last: int) -> int:
        """The last date of the unbroken run of matches that begins with ``day``, not after ``last``."""
        last = min(last, _LAST_DAY)
        at = date.fromordinal(day + EPOCH_ORDINAL)
        month, number = at.year * 12 + at.month - 1, at.day
        while True:
            length = length_of(month)
            missing = (~self.mask(month) & days_up_to(length)) >> number
            if missing:
                return min(day + (missing & -missing).bit_length() - 2, last)
            day += length - number + 1
            if day > last:
                return last
            month, number = month + 1, 1
            if month % 12 == 0 and self._cells is None:
                month = 12 * self._whole_years(month // 12, 1, last)
                if month // 12 > LAST_YEAR or (day := first_day(month)) > last:
                    return last

    def _whole_years(self, year: int, step: int, far: int) -> int:
        """The first year from one on, going by ``step``, that has a date which does not match; or one that
        lies beyond the date ``far`` or the calendar."""
        whole = 0
        edge = self._next_edge(year, step)
        while FIRST_YEAR <= year <= LAST_YEAR:
            first = first_day(year * 12)
            if (first > far) if step > 0 else (first + 365 < far):
                break
            if (year - edge) * step >= 0:
                whole, edge = 0, self._next_edge(year, step)
            if not self._is_whole(year):
                break
            whole += 1
            year += step
            if whole >= _EVERY_KIND and self.rule.is_steady:
                year = edge  # a year of every kind was whole: so are all others of the era
        return year

    def _next_edge(self, year: int, step: int) -> int:
        """The first year, going by ``step``, that may be of another era."""
        if step > 0:
            index = bisect_right(self.tests.edges, year)
            return self.tests.edges[index] if index < len(self.tests.edges) else LAST_YEAR + 1
        index = bisect_right(self.tests.edges, year) - 1
        return self.tests.edges[index] - 1 if index >= 0 else FIRST_YEAR - 1

    def _is_whole(self, year: int) -> bool:
        """Whether every date of a year matches."""
        era = self._era(year)
        kind = new_year(year)
        known = era.whole.get(kind)
        if known is None:
            known = era.whole[kind] = all(
                self._shaped(year, *shape)[0] == days_up_to(shape[2]) for shape in months_of(*kind)
            )
        return known

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
                for day in range(1, length_of(month) + 1):
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
        before = length_of(month - 1)
        return before, self.mask(month - 1) >> 1 | self.mask(month) >> 1 << before

    def kinds_of_day(self) -> list[Spans] | None:
        """Every set of seconds that the dated tests leave of any date; ``None`` if years differ."""
        if not self._steady:
            return None
        found: dict[int, Spans] = {}
        for shape in self._shapes():
            for mask, spans in self._shaped(*shape)[1]:
                if mask & self.rule.mask(*shape):
                    found[id(spans)] = spans
        return list(found.values())

    def spans(self, day: int) -> Spans:
        """The seconds of a date that satisfy every dated test."""
        if not self.tests:
            return FULL
        known = self._days.get(day)
        if known is None:
            at = date.fromordinal(day + EPOCH_ORDINAL)
            first = (day - at.day + 5) % 7
            kinds = self._shaped(at.year, at.month, first, monthrange(at.year, at.month)[1])[1]
            known = next((spans for mask, spans in kinds if mask >> at.day & 1), NONE)
            if len(self._days) >= _MONTHS_KEPT:
                self._days.clear()
            self._days[day] = known
        return known

    def exists(self) -> bool:
        """Whether any date matches, the cadence left aside: in the years named, else in a calendar cycle."""
        return any(self._shaped(*shape)[0] for shape in self._shapes())

    def _shapes(self) -> Iterator[tuple[int, int, int, int]]:
        """A month of every shape in every era, as year, number, first weekday and length."""
        seen: set[tuple[object, ...]] = set()
        modulus = self.rule.modulus
        for low, high in self._stretches():
            alike = (low, high) if high - low < _EVERY_KIND else (0, 0)
            tested = self.tests.era(low)
            if (alike, tested) in seen and self.rule.is_steady:
                continue
            seen.add((alike, tested))
            start = low + (self.rule.remainder - low) % modulus
            for year in range(
                start, min(high, start + modulus * (_EVERY_KIND if modulus == 1 else _CYCLE)), modulus
            ):
                era = (self.rule.kind(year), tested)
                for shape in months_of(*new_year(year)):
                    if self._months >> shape[0] & 1 and (era, shape) not in seen:
                        seen.add((era, shape))
                        yield year, *shape

    def _stretches(self) -> Iterator[tuple[int, int]]:
        """The years that can match, cut where eras begin; where all are alike, those near to ours suffice."""
        for start, end in self.years:
            cuts = [start, *(year for year in self.tests.edges if start < year < end), end]
            for low, high in pairwise(cuts):
                yield (low if low > FIRST_YEAR or high < 2000 + _CYCLE else 2000), high

    def _make(self, month: int) -> int:
        mask, before = self._plain(month)
        if mask and self._cells is not None:
            mask = self._cells.select(mask, before)
        return mask

    def _plain(self, month: int) -> tuple[int, int]:
        year, number = divmod(month, 12)
        number += 1
        before = date(year, number, 1).toordinal() - EPOCH_ORDINAL - 1
        return self._shaped(year, number, (before + 5) % 7, monthrange(year, number)[1])[0], before

    def _shaped(self, year: int, number: int, first: int, length: int) -> tuple[int, DayKinds]:
        """The matching days of a month, the cadence left aside, and all by the seconds that tests leave."""
        shapes = self._era(year).shapes
        key = number << 8 | length << 3 | first
        known = shapes.get(key)
        if known is None:
            mask = self.rule.mask(year, number, first, length)
            kinds = self.tests.kinds(year, number, first, length) if self.tests else _WHOLE_DAYS
            if self.tests and mask:
                accepted = 0
                for days, spans in kinds:
                    if days & mask and self._accepts(spans):
                        accepted |= days
                mask &= accepted
            known = shapes[key] = (mask, kinds)
        return known

    def _era(self, year: int) -> _Era:
        """What is kept of the years that neither the rule nor the tests tell from this one."""
        known, era = self._latest
        if known != year:
            if self._steady:
                key: tuple[object, ...] = ()
            else:
                key = (self.rule.kind(year), self.tests.era(year))
            if len(self._by_era) >= _ERAS_KEPT and key not in self._by_era:
                self._by_era.clear()
            era = self._by_era.setdefault(key, _Era())
            self._latest = (year, era)
        return era

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
