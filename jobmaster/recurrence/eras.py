"""What tests leave of the days of a month: the same in all years of an era, but for their calendars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from .daterules import ALL_YEARS
from .monthdays import days_up_to
from .spans import FULL, DayKinds, Intersections, Spans, common

_SHAPES_KEPT = 512

Era = tuple[tuple[tuple[int, int], ...], ...]
"""What tells some years from others, by tests."""


class WallTest(Protocol):
    """A condition on wall times: a window, or the absence of an exception."""

    @property
    def dated(self) -> bool:
        """Whether the answer depends on the date."""

    @property
    def edges(self) -> tuple[int, ...]:
        """The years, in order, with which another era may begin."""

    @property
    def years(self) -> Spans:
        """Spans of years outside of which nothing satisfies it."""

    def era(self, year: int) -> tuple[tuple[int, int], ...]:
        """Years of one era are alike, but for their calendars."""

    def kinds(self, year: int, month: int, first: int, length: int) -> DayKinds:
        """The days of a month by the seconds that satisfy it; ``first``: the weekday of the first day."""


class DayTests:
    """Some tests together, those that look at the date. What was found is kept, a bounded amount of it; sets
    of dates that have the same tests share it."""

    def __init__(self, tests: Iterable[WallTest] = ()) -> None:
        self._tests = tuple(test for test in tests if test.dated)
        self.edges = tuple(sorted({year for test in self._tests for year in test.edges}))
        self.years: Spans = ALL_YEARS
        for test in self._tests:
            self.years = within(self.years, test.years)
        self._common = Intersections()
        self._kept: dict[tuple[Era, int], DayKinds] = {}

    def __iter__(self) -> Iterator[WallTest]:
        return iter(self._tests)

    def __bool__(self) -> bool:
        return bool(self._tests)

    def era(self, year: int) -> Era:
        """Years of one era are alike, but for their calendars."""
        return tuple(test.era(year) for test in self._tests) if self.edges else ()

    def kinds(self, year: int, month: int, first: int, length: int) -> DayKinds:
        """The days of a month by the seconds that every test leaves of them."""
        key = (self.era(year), month << 8 | length << 3 | first)
        known = self._kept.get(key)
        if known is None:
            known = ((days_up_to(length), FULL),)
            for test in self._tests:
                known = self._both(known, test.kinds(year, month, first, length))
            if len(self._kept) >= _SHAPES_KEPT:
                self._kept.clear()
            self._kept[key] = known
        return known

    def _both(self, left: DayKinds, right: DayKinds) -> DayKinds:
        return tuple(
            (both, spans)
            for days, some in left
            for others, more in right
            if (both := days & others) and (spans := self._common(some, more))
        )


def within(left: Spans, right: Spans) -> Spans:
    """Of some spans of years, those that others hold."""
    return left if right == ALL_YEARS else common(left, right)
