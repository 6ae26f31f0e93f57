"""Conditions on wall times: windows, and the absence of exceptions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from .clock import DAY
from .daterules import ALL_MONTHS, ALL_YEARS, DateItem
from .monthdays import ALL_WEEKDAYS, MonthDay
from .spans import ALL_24, ALL_60, FULL, NONE, Spans, bits, common, inverted, of_clock, united
from .syntax import Range, Value, Window
from .words import RANGES

_CLOCK = ("hour", "minute", "second")
_SIZES = {"hour": 3600, "minute": 60, "second": 1}
_DATE = ("year", "month", "day")
_MOST_KEPT = 256


class FieldTest:
    """The wall times that agree with a value in every field it names."""

    def __init__(self, value: Value) -> None:
        self.item = item_of(value)
        self.dated = self.item != DateItem()
        self.is_steady = value.year is None
        self.years = ALL_YEARS if value.year is None else ((value.year, value.year + 1),)
        self.times = of_clock(
            ALL_24 if value.hour is None else 1 << value.hour,
            ALL_60 if value.minute is None else 1 << value.minute,
            ALL_60 if value.second is None else 1 << value.second,
        )

    def era(self, year: int) -> int:
        """Years of one number are alike, but for their calendars."""
        return int(self.is_steady or self.years[0][0] == year)

    def spans(self, year: int, month: int, day: int, first: int, length: int) -> Spans:
        return self.times if self.item.mask(year, month, first, length) >> day & 1 else NONE

    def holds_all(self, year: int, month: int) -> bool:
        """Nothing that is named holds always."""
        return False


class RangeTest:
    """The wall times between two values: fields compare as one number, a weekday beside them on its own.

    A range whose end is before its start goes round, unless an end is a special day: that is another
    day every month, and such a range is empty where it would have to go round.
    """

    def __init__(self, window: Range) -> None:
        fields = window.fields
        low, high = window.low, window.high
        self._weekdays = ALL_WEEKDAYS
        if "weekday" in fields:
            first = 0 if low is None else bits(low.weekday or 0)[0]
            last = 6 if high is None else bits(high.weekday or 0)[0]
            self._weekdays = _round(first, last)
        self._date = tuple(name for name in _DATE if name in fields)
        self._low = tuple(_bound(low, name, 0) for name in self._date)
        self._high = tuple(_bound(high, name, 1) for name in self._date)
        self._special = any(isinstance(bound, MonthDay) for bound in (*self._low, *self._high))
        clock = tuple(name for name in _CLOCK if name in fields)
        low_time = tuple(_number(low, name, 0) for name in clock)
        high_time = tuple(_number(high, name, 1) for name in clock)
        self._times_wrap = low_time > high_time
        self._times = _between(clock, low_time, high_time)
        self._from = _at_least(clock, low_time) if self._date else FULL
        self._upto = _at_most(clock, high_time) if self._date else FULL
        self._outer = united((*self._from, *self._upto))
        self._inner = common(self._from, self._upto)
        self._resolved = self._ends(0, 31)
        self.dated = bool(self._date) or self._weekdays != ALL_WEEKDAYS
        self.is_steady = "year" not in fields
        self.years = ALL_YEARS
        if "year" in fields:
            first_year, last_year = _number(low, "year", 0), _number(high, "year", 1)
            if first_year < last_year or (first_year == last_year and not self._backwards()):
                self.years = ((first_year, last_year + 1),)

    def _ends(self, first: int, length: int) -> tuple[tuple[int, int], tuple[int, ...], tuple[int, ...]]:
        """The dates of both ends in months of one shape."""
        low = tuple(_resolved(bound, first, length) for bound in self._low)
        return (first, length), low, tuple(_resolved(bound, first, length) for bound in self._high)

    def era(self, year: int) -> int:
        """Years of one number are alike, but for their calendars."""
        if self.is_steady:
            return 0
        low, high = self._low[0], self._high[0]
        if isinstance(low, MonthDay) or isinstance(high, MonthDay):
            raise ValueError("a special day is no year")
        return (year > low) - (year < low) + 3 * ((year > high) - (year < high))

    def holds_all(self, year: int, month: int) -> bool:
        """Whether a month lies between two dates of other months, or a year between two others."""
        if "year" not in self._date or self._special or self._weekdays != ALL_WEEKDAYS:
            return False
        if "month" not in self._date:
            return self._low[:1] < (year,) < self._high[:1]
        return self._low[:2] < (year, month) < self._high[:2]

    def _backwards(self) -> bool:
        """Whether the range may go round inside one year."""
        low = tuple(0 if isinstance(bound, MonthDay) else bound for bound in self._low)
        high = tuple(99 if isinstance(bound, MonthDay) else bound for bound in self._high)
        return low > high or (low == high and self._times_wrap)

    def spans(self, year: int, month: int, day: int, first: int, length: int) -> Spans:
        if not self._weekdays >> ((first + day - 1) % 7) & 1:
            return NONE
        if not self._date:
            return self._times
        here = {"year": year, "month": month, "day": day}
        at = tuple(here[name] for name in self._date)
        known = self._resolved
        if known[0] != (first, length) and self._special:
            known = self._resolved = self._ends(first, length)
        _, low, high = known
        if 0 in low or 0 in high:
            return NONE
        round_the_year = low > high or (low == high and self._times_wrap)
        if round_the_year and self._special:
            return NONE
        if at == low == high:
            return self._outer if round_the_year else self._inner
        if round_the_year:
            if at > low or at < high:
                return FULL
            return self._from if at == low else self._upto if at == high else NONE
        if at < low or at > high:
            return NONE
        return self._from if at == low else self._upto if at == high else FULL


class AnyTest:
    """The union of some conditions, or everything outside of it."""

    def __init__(self, tests: Sequence[FieldTest | RangeTest], outside: bool = False) -> None:
        # what does not look at the date says the same of every day
        self._always = united(
            span for test in tests if not test.dated for span in test.spans(2000, 1, 1, 6, 31)
        )
        self._fields = tuple(test for test in tests if test.dated and isinstance(test, FieldTest))
        self._ranges = tuple(test for test in tests if test.dated and isinstance(test, RangeTest))
        self._outside = outside
        self._known: dict[tuple[int, ...], Spans] = {}
        self._month: tuple[tuple[int, int, int, int], list[tuple[int, Spans]]] = ((0, 0, 0, 0), [])
        self.dated = any(test.dated for test in tests)
        self.is_steady = all(test.is_steady for test in tests)
        self.years = ALL_YEARS if outside else united(span for test in tests for span in test.years)

    def era(self, year: int) -> int:
        """Years of one number are alike, but for their calendars."""
        tests: tuple[FieldTest | RangeTest, ...] = (*self._fields, *self._ranges)
        found = 0
        for test in tests:
            found = found * 9 + test.era(year) + 4
        return found

    def spans(self, year: int, month: int, day: int, first: int, length: int) -> Spans:
        here, fields = self._month
        if here != (year, month, first, length):
            here = (year, month, first, length)
            fields = [(mask, test.times) for test in self._fields if (mask := test.item.mask(*here))]
            self._month = (here, fields)
        found = [self._always, *(times for mask, times in fields if mask >> day & 1)]
        found += [test.spans(year, month, day, first, length) for test in self._ranges]
        if FULL in found:
            return NONE if self._outside else FULL
        # A test answers with one of a few sets that it keeps, so which ones they are says all.
        key = tuple(map(id, found))
        known = self._known.get(key)
        if known is None:
            known = found[0] if len(found) == 1 else united(span for spans in found for span in spans)
            if self._outside:
                known = inverted(known)
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[key] = known
        return known

    def holds_all(self, year: int, month: int) -> bool:
        """Whether it is known that every second of a month satisfies it."""
        return not self._outside and any(test.holds_all(year, month) for test in self._ranges)


Test = AnyTest | FieldTest


def window_test(window: Window) -> AnyTest:
    return AnyTest([RangeTest(one) for one in window.ranges])


def exclusion_test(items: Iterable[Value | Range]) -> AnyTest:
    """Everything but the given wall times."""
    tests = [RangeTest(item) if isinstance(item, Range) else FieldTest(item) for item in items]
    return AnyTest(tests, outside=True)


def points_test(values: Iterable[Value]) -> AnyTest:
    return AnyTest([FieldTest(value) for value in values])


def fixed_spans(tests: Iterable[Test]) -> Spans:
    """What the tests that do not look at the date leave of every day."""
    found = FULL
    for test in tests:
        if not test.dated:
            found = common(found, test.spans(2000, 1, 1, 6, 31))
    return found


def item_of(value: Value) -> DateItem:
    """The date part of a value."""
    return DateItem(
        None if value.year is None else frozenset({value.year}),
        ALL_MONTHS if value.month is None else value.month,
        value.day,
        ALL_WEEKDAYS if value.weekday is None else value.weekday,
    )


def _round(first: int, last: int) -> int:
    mask = 0
    while True:
        mask |= 1 << first
        if first == last:
            return mask
        first = (first + 1) % 7


def _bound(value: Value | None, name: str, end: int) -> int | MonthDay:
    if value is not None and name == "day" and isinstance(value.day, MonthDay):
        return value.day
    return _number(value, name, end)


def _number(value: Value | None, name: str, end: int) -> int:
    if value is None:
        return RANGES[name][end]
    if name == "day":
        return bits(value.day_mask)[0]
    if name == "month":
        return bits(value.month or 0)[0]
    return int(getattr(value, name))


def _resolved(bound: int | MonthDay, first: int, length: int) -> int:
    return bound.day(first, length) if isinstance(bound, MonthDay) else bound


@lru_cache(maxsize=256)
def _between(fields: tuple[str, ...], low: tuple[int, ...], high: tuple[int, ...]) -> Spans:
    """The seconds of the day whose fields lie between two bounds, both included, round midnight too."""
    if fields == ("second",) and low <= high:
        return tuple((at + low[0], at + high[0] + 1) for at in range(0, DAY, 60))
    after, before = _at_least(fields, low), _at_most(fields, high)
    return united((*after, *before)) if low > high else common(after, before)


@lru_cache(maxsize=256)
def _at_least(fields: tuple[str, ...], low: tuple[int, ...]) -> Spans:
    if fields == _CLOCK[: len(fields)]:
        start = sum(number * _SIZES[name] for name, number in zip(fields, low, strict=True))
        return ((start, DAY),) if start else FULL
    return _compared(fields, low, 1)


@lru_cache(maxsize=256)
def _at_most(fields: tuple[str, ...], high: tuple[int, ...]) -> Spans:
    if fields == _CLOCK[: len(fields)]:
        end = sum(number * _SIZES[name] for name, number in zip(fields, high, strict=True))
        end += _SIZES[fields[-1]] if fields else DAY
        return ((0, end),) if end < DAY else FULL
    return _compared(fields, high, -1)


def _compared(fields: tuple[str, ...], bound: tuple[int, ...], sign: int) -> Spans:
    """The seconds of the day whose fields, an hour missing among them, are on one side of a bound."""
    coarse = tuple(name for name in fields if name != "second")
    edge = bound[: len(coarse)]
    found = []
    for minute_of_day in range(24 * 60):
        start = minute_of_day * 60
        hour, minute = divmod(minute_of_day, 60)
        here = tuple({"hour": hour, "minute": minute}[name] for name in coarse)
        if here == edge:
            low, high = 0, 60
            if "second" in fields and sign > 0:
                low = bound[-1]
            elif "second" in fields:
                high = bound[-1] + 1
            found.append((start + low, start + high))
        elif (here > edge) == (sign > 0):
            found.append((start, start + 60))
    return united(found)
