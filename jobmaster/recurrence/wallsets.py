"""Sets of wall times, and where in a chosen cell something fires: what the elapsed form is made from."""

from __future__ import annotations

from collections.abc import Sequence

from .calendarform import Branch
from .clock import DAY
from .dates import DateSet
from .daytimes import ClockMask, DayTimes
from .spans import FULL, Intersections, Spans, holds, span_of


class WallSet:
    """Wall times by date and by second of the day; both are asked for the ends of unbroken stretches."""

    def __init__(self, dates: DateSet, spans: Spans) -> None:
        self.dates = dates
        self.fixed = spans
        self._common = Intersections()
        self._whole: DateSet | None = None  # the dates that belong to it from midnight to midnight
        if spans == FULL:
            self._whole = DateSet(dates.rule, dates.tests, accept=lambda found: found == FULL)

    def whole_since(self, day: int, least: int) -> int:
        """The first of the dates in a row, up to ``day`` and not before ``least``, that belong to it from
        midnight to midnight; ``day + 1`` if that date does not."""
        if self._whole is None or not self._whole.has(day):
            return day + 1
        return self._whole.run_start(day, least)

    def whole_until(self, day: int, last: int) -> int:
        """The last of such dates in a row, from ``day`` on and not after ``last``; ``day - 1`` if that date
        does not belong."""
        if self._whole is None or not self._whole.has(day):
            return day - 1
        return self._whole.run_end(day, last)

    def times(self) -> Branch:
        """Every second of the set, to be searched."""
        return Branch(self.dates, DayTimes([ClockMask()], self.fixed))

    def spans(self, day: int) -> Spans:
        return self._common(self.fixed, self.dates.spans(day)) if self.dates.tests else self.fixed

    def has(self, wall: int) -> bool:
        day, second = divmod(wall, DAY)
        return self.dates.has(day) and holds(self.spans(day), second)

    def end(self, wall: int, last: int) -> int:
        """The first wall second after ``wall``, a member, that is none; not after ``last``."""
        day, second = divmod(wall, DAY)
        while True:
            span = span_of(self.spans(day), second)
            if span is None:
                return min(day * DAY, last)
            if span[1] < DAY:
                return min(day * DAY + span[1], last)
            if self._whole is not None and self._whole.has(day + 1):
                day = self._whole.run_end(day + 1, last // DAY)
            day, second = day + 1, 0
            if day * DAY >= last or not self.dates.has(day):
                return min(day * DAY, last)

    def begin(self, wall: int, least: int) -> int:
        """The first wall second of the unbroken stretch that ends with ``wall``; not before ``least``."""
        day, second = divmod(wall, DAY)
        while True:
            span = span_of(self.spans(day), second)
            if span is None:
                return max((day + 1) * DAY, least)
            if span[0] > 0:
                return max(day * DAY + span[0], least)
            if self._whole is not None and day * DAY > least and self._whole.has(day - 1):
                day = self._whole.run_start(day - 1, least // DAY)
            if day * DAY <= least or not self.dates.has(day - 1):
                return max(day * DAY, least)
            day, second = day - 1, DAY - 1


class FinePoints:
    """Points and windows finer than the unit: where in a chosen cell it fires.

    ``products`` are the named fields, those below the finest being zero and those unnamed being free;
    ``kept`` says which of minute and second are taken from the origin of a run. ``branch`` finds origins:
    the wall times that satisfy the filters and these.
    """

    def __init__(
        self, products: Sequence[ClockMask], kept: frozenset[str], spans: Spans, branch: Branch
    ) -> None:
        self.products = tuple(products)
        self.kept = kept
        self.spans = spans
        self.branch = branch
        self._latest: tuple[tuple[int, int], tuple[int, ...]] = ((-1, 0), ())

    def offsets(self, origin_wall: int, unit: int) -> tuple[int, ...]:
        """Seconds from the wall-clock start of a unit at which it fires."""
        key = (origin_wall % 3600 if self.kept else 0, unit)
        known, found = self._latest
        if known != key:
            found = self._offsets(origin_wall, unit)
            self._latest = (key, found)
        return found

    def _offsets(self, origin_wall: int, unit: int) -> tuple[int, ...]:
        minute, second = origin_wall // 60 % 60, origin_wall % 60
        found: set[int] = set()
        for product in self.products:
            mask = ClockMask(
                1,
                1 << minute if "minute" in self.kept else product.minutes,
                1 << second if "second" in self.kept else product.seconds,
            )
            found.update(at % unit for at in mask.all())
        return tuple(sorted(at for at in found if holds(self.spans, at)))
