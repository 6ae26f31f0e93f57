"""Conditions on wall times: windows, and the absence of exceptions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache

from .clock import DAY
from .daterules import ALL_MONTHS, ALL_YEARS, DateItem
from .monthdays import ALL_WEEKDAYS, MonthDay, days_up_to, weekday_days
from .spans import (
    ALL_24,
    ALL_60,
    FULL,
    NONE,
    DayKinds,
    Spans,
    bits,
    clock_mask,
    common,
    inverted,
    spans_of,
    union,
    united,
)
from .syntax import Range, Value, Window
from .words import RANGES

_CLOCK = ("hour", "minute", "second")
_DATE = ("year", "month", "day")
_MOST_KEPT = 256
_ALWAYS = 10  # the place of a year that satisfies a test from its first second to its last
_ANY_MONTH = (2000, 1, 6, 31)
_EVERY_SECOND = (1 << DAY) - 1


class FieldTest:
    """The wall times that agree with a value in every field it names."""

    def __init__(self, value: Value) -> None:
        self.item = item_of(value)
        self.dated = self.item != DateItem()
        self.years = ALL_YEARS if value.year is None else ((value.year, value.year + 1),)
        self.edges: tuple[int, ...] = () if value.year is None else self.years[0]
        self.seconds = clock_mask(
            ALL_24 if value.hour is None else 1 << value.hour,
            ALL_60 if value.minute is None else 1 << value.minute,
            ALL_60 if value.second is None else 1 << value.second,
        )

    @cached_property
    def times(self) -> Spans:
        """The seconds of the day, the date left aside."""
        return spans_of(self.seconds)

    def place(self, year: int) -> int:
        """Years of one number are alike, but for their calendars; 0 where nothing satisfies it."""
        if self.edges and self.edges[0] != year:
            return 0
        return _ALWAYS if self.seconds == _EVERY_SECOND and self.item[1:] == DateItem()[1:] else 1

    def kinds(self, year: int, month: int, first: int, length: int) -> DayKinds:
        mask = self.item.mask(year, month, first, length)
        return ((mask, self.times),) if mask else ()


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
            start = 0 if low is None else bits(low.weekday or 0)[0]
            end = 6 if high is None else bits(high.weekday or 0)[0]
            self._weekdays = _round(start, end)
        self._date = tuple(name for name in _DATE if name in fields)
        self._low = tuple(_bound(low, name, 0) for name in self._date)
        self._high = tuple(_bound(high, name, 1) for name in self._date)
        self._special = any(isinstance(bound, MonthDay) for bound in (*self._low, *self._high))
        self._plain = tuple(
            tuple(0 if isinstance(bound, MonthDay) else bound for bound in end)
            for end in (self._low, self._high)
        )
        # of the year and the month, those that are named
        self._coarse = slice(int("year" not in self._date), 1 + ("month" in self._date))
        clock = tuple(name for name in _CLOCK if name in fields)
        low_time = tuple(_number(low, name, 0) for name in clock)
        high_time = tuple(_number(high, name, 1) for name in clock)
        self._times_wrap = low_time > high_time
        self._after, self._before = _at_least(clock, low_time), _at_most(clock, high_time)
        self.seconds = self._after & self._before
        if self._times_wrap:
            self.seconds = self._after | self._before
        self.dated = bool(self._date) or self._weekdays != ALL_WEEKDAYS
        self.years = ALL_YEARS
        self.edges: tuple[int, ...] = ()
        if "year" in fields:
            first, last = _number(low, "year", 0), _number(high, "year", 1)
            self.edges = (first, first + 1, last, last + 1)
            if first < last or (first == last and not self._backwards()):
                self.years = ((first, last + 1),)

    @cached_property
    def _times(self) -> Spans:
        return spans_of(self.seconds)

    @cached_property
    def _from(self) -> Spans:
        return spans_of(self._after)

    @cached_property
    def _upto(self) -> Spans:
        return spans_of(self._before)

    @cached_property
    def _from_and_upto(self) -> Spans:
        return spans_of(self._after & self._before)

    @cached_property
    def _from_or_upto(self) -> Spans:
        return spans_of(self._after | self._before)

    def place(self, year: int) -> int:
        """Years of one number are alike, but for their calendars; 0 where nothing satisfies it."""
        if not self.edges:
            return 1
        if self.years != ALL_YEARS and not self.years[0][0] <= year < self.years[0][1]:
            return 0
        first, _, last, _ = self.edges
        if self._weekdays == ALL_WEEKDAYS and (
            first < year < last or (first > last and (year > first or year < last))
        ):
            return _ALWAYS
        return 5 + (year > first) - (year < first) + 3 * ((year > last) - (year < last))

    def _backwards(self) -> bool:
        """Whether the range may go round inside one year."""
        low = tuple(0 if isinstance(bound, MonthDay) else bound for bound in self._low)
        high = tuple(99 if isinstance(bound, MonthDay) else bound for bound in self._high)
        return low > high or (low == high and self._times_wrap)

    def kinds(self, year: int, month: int, first: int, length: int) -> DayKinds:
        days = days_up_to(length)
        if self._weekdays != ALL_WEEKDAYS:
            days &= weekday_days(self._weekdays, first)
        if not self._date:
            return ((days, self._times),) if self.seconds else ()
        low, high = self._plain
        if self._special:
            low = tuple(_resolved(bound, first, length) for bound in self._low)
            high = tuple(_resolved(bound, first, length) for bound in self._high)
            if 0 in low or 0 in high:
                return ()
        round_the_year = low > high or (low == high and self._times_wrap)
        if round_the_year and self._special:
            return ()
        at = tuple([year, month][self._coarse])
        on_low, after = _from_bound(at, low, days)
        on_high, beyond = _from_bound(at, high, days)
        before = days & ~(on_high | beyond)
        if low == high:
            found = [(on_low, self._from_or_upto if round_the_year else self._from_and_upto)]
            if round_the_year:
                found.append((after | before, FULL))
        else:
            found = [(on_low, self._from), (on_high, self._upto)]
            found.append((after | before if round_the_year else after & before, FULL))
        return tuple((mask, spans) for mask, spans in found if mask and spans)


class AnyTest:
    """The union of some conditions, or everything outside of it."""

    def __init__(self, tests: Sequence[FieldTest | RangeTest], outside: bool = False) -> None:
        # what does not look at the date says the same of every day
        always = 0
        for test in tests:
            if not test.dated:
                always |= test.seconds
        self._always = NONE if outside else spans_of(always)
        self._rest = spans_of(_EVERY_SECOND ^ always) if outside else FULL
        self._tests = tuple(test for test in tests if test.dated)
        self._outside = outside
        self._known: dict[tuple[int, ...], tuple[list[Spans], Spans]] = {}
        self._eras: dict[int, tuple[tuple[tuple[int, int], ...], tuple[FieldTest | RangeTest, ...]]] = {}
        self.dated = bool(self._tests)
        self.edges = tuple(sorted({year for test in self._tests for year in test.edges}))
        self.years = ALL_YEARS if outside else united(span for test in tests for span in test.years)

    def era(self, year: int) -> tuple[tuple[int, int], ...]:
        """Years of one era are alike, but for their calendars."""
        return self._of_era(year)[0]

    def _of_era(self, year: int) -> tuple[tuple[tuple[int, int], ...], tuple[FieldTest | RangeTest, ...]]:
        """What tells an era from others, and the conditions that something satisfies in it."""
        index = bisect_right(self.edges, year)
        known = self._eras.get(index)
        if known is None:
            places = [(number, test, test.place(year)) for number, test in enumerate(self._tests)]
            places = next(([(0, test, _ALWAYS)] for _, test, place in places if place == _ALWAYS), places)
            known = self._eras[index] = (
                tuple((number, place) for number, test, place in places if test.edges and place),
                tuple(test for _, test, place in places if place),
            )
        return known

    def kinds(self, year: int, month: int, first: int, length: int) -> DayKinds:
        """The days of a month by the seconds that satisfy it, as disjoint masks; a day without any is left
        out. ``first`` is the weekday of the month's first day."""
        days = days_up_to(length)
        some: dict[int, list[Spans]] = {}
        full = days if self._always == FULL else 0
        for test in self._of_era(year)[1]:
            for mask, spans in test.kinds(year, month, first, length):
                if spans == FULL:
                    full |= mask
                else:
                    some.setdefault(mask, []).append(spans)
        parts: list[tuple[int, list[Spans]]] = [(days & ~full, [self._always] if self._always else [])]
        for mask, found in some.items():
            parts = [
                part
                for own, before in parts
                for part in ((own & mask, [*before, *found]), (own & ~mask, before))
                if part[0]
            ]
        whole = () if self._outside or not full else ((full, FULL),)
        return (*whole, *((own, spans) for own, found in parts if own and (spans := self._united(found))))

    def _united(self, found: list[Spans]) -> Spans:
        # A test answers with one of a few sets that it keeps, so which ones they are says all.
        key = tuple(map(id, found))
        known = self._known.get(key)
        if known is None:
            spans = found[0] if len(found) == 1 else union(found)
            if self._outside:
                spans = common(self._rest, inverted(spans))
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            known = self._known[key] = (found, spans)
        return known[1]


def window_test(window: Window) -> AnyTest:
    return AnyTest([RangeTest(one) for one in window.ranges])


def exclusion_test(items: Iterable[Value | Range]) -> AnyTest:
    """Everything but the given wall times."""
    tests = [RangeTest(item) if isinstance(item, Range) else FieldTest(item) for item in items]
    return AnyTest(tests, outside=True)


def points_test(values: Iterable[Value]) -> AnyTest:
    return AnyTest([FieldTest(value) for value in values])


def fixed_spans(tests: Iterable[AnyTest]) -> Spans:
    """What the tests that do not look at the date leave of every day."""
    found = FULL
    for test in tests:
        if not test.dated:
            kinds = test.kinds(*_ANY_MONTH)
            found = common(found, kinds[0][1] if kinds else NONE)
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


def _from_bound(at: tuple[int, ...], bound: Sequence[int], days: int) -> tuple[int, int]:
    """Of the days of a month, those on a bound and those after it; ``at``: the coarser fields, the day not
    among them."""
    coarse = tuple(bound[: len(at)])
    if at != coarse or len(at) == len(bound):
        return (days if at == coarse else 0), (days if at > coarse else 0)
    return days & 1 << bound[-1], days & -1 << (bound[-1] + 1)


def _resolved(bound: int | MonthDay, first: int, length: int) -> int:
    return bound.day(first, length) if isinstance(bound, MonthDay) else bound


@lru_cache(maxsize=256)
def _at_least(fields: tuple[str, ...], low: tuple[int, ...]) -> int:
    """The seconds of the day, as bits, whose fields are not below a bound."""
    if not fields:
        return _EVERY_SECOND
    name, bound = fields[0], low[0]
    above, equal = _field(name, -1 << (bound + 1)), _field(name, 1 << bound)
    return above | (equal & _at_least(fields[1:], low[1:]))


@lru_cache(maxsize=256)
def _at_most(fields: tuple[str, ...], high: tuple[int, ...]) -> int:
    """The seconds of the day, as bits, whose fields are not above a bound."""
    if not fields:
        return _EVERY_SECOND
    name, bound = fields[0], high[0]
    below, equal = _field(name, (1 << bound) - 1), _field(name, 1 << bound)
    return below | (equal & _at_most(fields[1:], high[1:]))


def _field(name: str, values: int) -> int:
    """The seconds of the day, as bits, at which one field has one of some values."""
    masks = {"hour": ALL_24, "minute": ALL_60, "second": ALL_60}
    masks[name] &= values
    return clock_mask(masks["hour"], masks["minute"], masks["second"])
