"""From the syntax tree of a natural expression to a form that can be asked for occurrences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import Problem
from .calendarform import Branch, CalendarForm, Fire
from .cells import CountedCells
from .clock import DAY, Clock, naive_of
from .clockparts import (
    CLOCK_FIELDS,
    FREE,
    Clocked,
    Impossible,
    choices,
    combined,
    filled,
    grid_item,
    meets,
    moved,
    term_of,
    wall_of_value,
)
from .daterules import DateItem, DateRule
from .dates import DateSet
from .daytimes import ClockMask, DayTimes
from .elapsedform import ElapsedForm
from .eras import DayTests
from .monthdays import MonthDay
from .spans import Spans, bits, common, mask_of
from .syntax import Cadence, Expression, Points, Value
from .wallsets import FinePoints, WallSet
from .walltests import AnyTest, exclusion_test, fixed_spans, item_of, points_test, window_test
from .words import DATE_FIELDS, RANGES, TIME_FIELDS

UNIT_SECONDS = {"second": 1, "minute": 60, "hour": 3600}
FINER = {
    "second": frozenset[str](),
    "minute": frozenset(("second",)),
    "hour": frozenset(("minute", "second")),
    "day": TIME_FIELDS,
    "week": TIME_FIELDS | {"weekday"},
    "month": TIME_FIELDS | {"weekday", "day"},
    "year": TIME_FIELDS | {"weekday", "day", "month"},
}

Terms = tuple[tuple[DateItem, ...], ...]


@dataclass(slots=True)
class Compiled:
    """A form with what the anchor supplied to it, as wall fields, and the warnings that came up.

    ``origin`` is the wall time from which a cadence counts.
    """

    form: CalendarForm | ElapsedForm
    supplied: dict[str, int] = field(default_factory=dict)
    origin: int | None = None
    warnings: tuple[Problem, ...] = ()


class Compiler:
    """Compiles one tree for one zone and one anchor, an instant in whole seconds."""

    def __init__(self, tree: Expression, clock: Clock, anchor: int) -> None:
        self.tree = tree
        self.clock = clock
        self.anchor = anchor if tree.start is None else clock.first_pass(wall_of_value(tree.start, 0))
        self.upper = None if tree.end is None else clock.last_pass(wall_of_value(tree.end, 1))
        self.windows = [window_test(window) for window in tree.windows]
        items = [item for exclusion in tree.exclusions for item in exclusion.items]
        self.exclusions: list[AnyTest] = [exclusion_test(items)] if items else []
        self.points = list(tree.points)
        self.warnings: list[Problem] = []
        self.supplied: dict[str, int] = {}
        self.anchor_wall = clock.wall(self.anchor)

    def compiled(self) -> Compiled:
        cadence = self.tree.cadence
        if cadence is None:
            return self._done(self._points_alone())
        if cadence.weekdays is not None:
            value = Value(weekday=cadence.weekdays)
            self.points.insert(0, Points((value,)))
        if cadence.unit in UNIT_SECONDS:
            form = self._elapsed(cadence) if cadence.anchor is None else self._clock_grid(cadence)
            return self._done(form)
        return self._cadence(cadence)

    def _done(self, form: CalendarForm | ElapsedForm, origin: int | None = None) -> Compiled:
        return Compiled(form, self.supplied, origin, tuple(self.warnings))

    # Points without a cadence

    def _points_alone(self) -> CalendarForm:
        named = self._named()
        terms: Terms = ()
        fallback = None
        if not named & TIME_FIELDS:
            fallback = self._anchor_time()
            dates = named & DATE_FIELDS
            if not dates - {"year", "month"}:
                at = naive_of(self.anchor_wall)
                item = DateItem(days=MonthDay("clipped", at.day))
                self.supplied["day"] = at.day
                if "month" not in dates:
                    self.supplied["month"] = at.month
                    item = item._replace(months=1 << at.month)
                terms = ((item,),)
        return self._calendar(self._branches(terms, FREE, fallback, excepted=True))

    def _anchor_time(self) -> int:
        second = self.anchor_wall % DAY
        self.supplied.update(hour=second // 3600, minute=second // 60 % 60, second=second % 60)
        return second

    # Seconds, minutes and hours

    def _clock_grid(self, cadence: Cadence) -> CalendarForm:
        """An anchored cadence of seconds, minutes or hours: the clock's field has a remainder modulo N."""
        low, high = RANGES[cadence.unit]
        anchor = cadence.anchor or 0
        mask = mask_of(value for value in range(low, high + 1) if value % cadence.n == anchor % cadence.n)
        branches = self._branches((), FREE, None, excepted=True, grid={cadence.unit: mask})
        return self._calendar(
            branches, interval_like=True, hour_grid=cadence.unit == "hour" and cadence.n > 1
        )

    def _elapsed(self, cadence: Cadence) -> ElapsedForm:
        finer = FINER[cadence.unit]
        points = [clause for clause in self.points if not clause.fields <= finer]
        fine = [clause for clause in self.points if clause.fields <= finer]
        coarse_tests: list[AnyTest] = [test for test, window in self._window_pairs() if not window <= finer]
        fine_tests = [test for test, window in self._window_pairs() if window <= finer]
        terms = tuple(term_of(clause) for clause in points if clause.fields <= DATE_FIELDS)
        coarse_tests += [points_test(clause.values) for clause in points if not clause.fields <= DATE_FIELDS]
        filters = None
        spans = fixed_spans(coarse_tests)
        if points or coarse_tests:
            tests = DayTests(coarse_tests)
            dates = DateSet(DateRule(terms), tests, accept=lambda found: bool(common(spans, found)))
            filters = WallSet(dates, spans)
        times = None
        if fine or fine_tests:
            times = self._fine(fine, fixed_spans(fine_tests), terms, coarse_tests, spans)
        allowed = None
        if self.exclusions:
            left = fixed_spans(self.exclusions)
            dates = DateSet(
                DateRule(), DayTests(self.exclusions), accept=lambda found: bool(common(left, found))
            )
            allowed = WallSet(dates, left)
        self._require(terms, coarse_tests, times)
        unit = UNIT_SECONDS[cadence.unit]
        return ElapsedForm(
            self.clock,
            self.anchor,
            unit,
            cadence.n,
            filters=filters,
            fine=times,
            allowed=allowed,
            upper=self.upper,
        )

    def _fine(
        self, fine: Sequence[Points], own: Spans, terms: Terms, tests: Sequence[AnyTest], spans: Spans
    ) -> FinePoints:
        named = frozenset[str]().union(*(clause.fields for clause in fine))
        products = [filled(clocked, named, FREE) for clocked in combined(fine)]
        times = DayTimes(products, common(spans, own))
        dates = DateSet(DateRule(terms), DayTests(tests), accept=meets(times))
        kept = frozenset(("minute", "second")) - named
        if named and "second" not in named:
            kept -= {"second"}
        return FinePoints(products, kept, own, Branch(dates, times))

    def _require(self, terms: Terms, tests: Sequence[AnyTest], fine: FinePoints | None) -> None:
        """Refuse filters, fine points and exceptions that leave no second of any date."""
        everything = [*tests, *self.exclusions]
        spans = fixed_spans(everything)
        if fine is not None:
            spans = common(spans, fine.spans)
        times = DayTimes(fine.products if fine is not None else [ClockMask()], spans)
        dates = DateSet(DateRule(terms), DayTests(everything), accept=meets(times))
        self._require_match([Branch(dates, times)])

    # Days, weeks, months and years

    def _cadence(self, cadence: Cadence) -> Compiled:
        unit, n = cadence.unit, cadence.n
        rule_terms: list[tuple[DateItem, ...]] = []
        modulus = remainder = 0
        if cadence.anchor is not None:
            if unit == "week":
                self.points.append(Points((Value(weekday=1 << cadence.anchor),)))
            elif unit == "year":
                modulus, remainder = n, cadence.anchor % n
            else:
                rule_terms.append((grid_item(unit, n, cadence.anchor),))
        if unit == "week" and not self._weekday_named():
            unit, n = "day", 7 * n
        if unit in ("month", "year"):
            self._first_weekdays()
        named = self._named()
        counted = n > 1 and (cadence.anchor is None or unit == "week" or n > RANGES[unit][1])
        if unit == "year" and cadence.anchor is not None:
            counted = False
        rule = (modulus, remainder) if modulus else (1, 0)
        if not counted and not self._open(unit, named):
            fallback = None if named & TIME_FIELDS else self._anchor_time()
            return self._done(self._calendar(self._branches(tuple(rule_terms), FREE, fallback, True, rule)))
        searched = tuple(rule_terms) if counted else ()
        origin, fallback = self._origin(searched, named)
        if origin is None:
            self._require_match(
                self._branches(tuple(rule_terms), FREE, 0 if fallback is None else fallback, True)
            )
            return self._done(self._calendar([]))
        if counted:
            rule_terms.clear()  # a grid beyond its field only chose the origin
        at = naive_of(origin.wall)
        if unit == "week" and "weekday" not in named:
            rule_terms.append((DateItem(weekdays=1 << (at.isoweekday() % 7)),))
            self.supplied["weekday"] = at.isoweekday() % 7
        if unit in ("month", "year") and "day" not in named:
            rule_terms.append((DateItem(days=MonthDay("clipped", at.day)),))
            self.supplied["day"] = at.day
        if unit == "year" and "month" not in named:
            rule_terms.append((DateItem(months=1 << at.month),))
            self.supplied["month"] = at.month
        coarse = {"hour": 1 << at.hour, "minute": 1 << at.minute, "second": 1 << at.second}
        self._note_times(named, origin.wall)
        cells = None
        if counted:
            plain = self._branches(tuple(rule_terms), coarse, fallback, False, rule)
            runs = self._runs(unit) if cadence.anchor is None else None
            matches = [branch.dates for branch in plain]
            cells = CountedCells(unit, n, origin.wall // DAY, runs, matches)
        branches = self._branches(tuple(rule_terms), coarse, fallback, True, rule, cells)
        return self._done(self._calendar(branches), origin.wall if counted else None)

    def _open(self, unit: str, named: frozenset[str]) -> bool:
        """Whether a field is left to the origin: one that is not named but has to have one value."""
        times = named & TIME_FIELDS
        finest = max((CLOCK_FIELDS.index(name) for name in times), default=-1)
        if any(name not in times for name in CLOCK_FIELDS[: finest + 1]):
            return True
        kept = {"week": {"weekday"}, "month": {"day"}, "year": {"month", "day"}}.get(unit, set())
        return bool(kept - named) or (not times and bool(self.windows))

    def _note_times(self, named: frozenset[str], wall: int) -> None:
        """Remember which fields of the time of day are not named but supplied."""
        finest = max((CLOCK_FIELDS.index(name) for name in named & TIME_FIELDS), default=2)
        values = {"hour": wall // 3600 % 24, "minute": wall // 60 % 60, "second": wall % 60}
        for name in CLOCK_FIELDS[: finest + 1]:
            if name not in named:
                self.supplied[name] = values[name]

    def _origin(self, terms: Terms, named: frozenset[str]) -> tuple[Fire | None, int | None]:
        """The first wall time that satisfies points and windows, and the time of day if none is named."""
        if named & TIME_FIELDS:
            return self._first(self._branches(terms, FREE, None, False)), None
        time = self.anchor_wall % DAY
        found = self._first(self._branches(terms, FREE, time, False))
        if found is None:
            found = self._first(self._branches(terms, FREE, None, False))
            time = time if found is None else found.wall % DAY
        return found, time

    def _first(self, branches: Sequence[Branch]) -> Fire | None:
        form = self._calendar(branches, bounded=False, required=False)
        return form.next(self.anchor - 1)

    def _first_weekdays(self) -> None:
        """Under a month or year, a weekday named without a day is the first such weekday of the month."""
        if "day" in self._named():
            return
        for index, clause in enumerate(self.points):
            if "weekday" not in clause.fields:
                continue
            values = []
            for value in clause.values:
                for weekday in bits(value.weekday or 0):
                    values.append(moved(value, MonthDay("nth", 1, weekday)))
            self.points[index] = Points(tuple(values), clause.at)
            place = clause.values[0].place("weekday")
            message = "under a month or a year, a weekday means the first one of the month"
            self.warnings.append(Problem("first_weekday", message, *place))

    def _weekday_named(self) -> bool:
        clauses = [clause.fields for clause in self.points] + [window.fields for window in self.tree.windows]
        return any("weekday" in fields for fields in clauses)

    def _runs(self, unit: str) -> DateSet | None:
        """The dates that satisfy every filter; ``None`` if there is none."""
        finer = FINER[unit]
        points = [clause for clause in self.points if not clause.fields <= finer]
        tests: list[AnyTest] = [test for test, fields in self._window_pairs() if not fields <= finer]
        tests += [points_test(clause.values) for clause in points if not clause.fields <= DATE_FIELDS]
        terms = tuple(term_of(clause) for clause in points if clause.fields <= DATE_FIELDS)
        return DateSet(DateRule(terms), DayTests(tests)) if terms or tests else None

    # Shared

    def _window_pairs(self) -> list[tuple[AnyTest, frozenset[str]]]:
        return [(test, window.fields) for test, window in zip(self.windows, self.tree.windows, strict=True)]

    def _named(self) -> frozenset[str]:
        return frozenset[str]().union(*(clause.fields for clause in self.points))

    def _branches(
        self,
        terms: Terms,
        coarse: Clocked,
        fallback: int | None,
        excepted: bool,
        rule: tuple[int, int] = (1, 0),
        cells: CountedCells | None = None,
        grid: Clocked | None = None,
    ) -> list[Branch]:
        """The calendars that the points make.

        ``coarse`` fills time fields that are not named but coarser than the finest named one; ``fallback``
        is the time of day if none is named, ``None`` for every second.
        """
        tests: list[AnyTest] = [*self.windows, *(self.exclusions if excepted else ())]
        spans = fixed_spans(tests)
        dated = tuple(term_of(clause) for clause in self.points if clause.fields <= DATE_FIELDS)
        clocked = [clause for clause in self.points if clause.fields <= TIME_FIELDS]
        mixed = [
            clause
            for clause in self.points
            if not clause.fields <= DATE_FIELDS and not clause.fields <= TIME_FIELDS
        ]
        grid = grid or {}
        named = self._named() | set(grid)
        branches = []
        shared = DayTests(tests)
        for values in choices(mixed):
            own = tuple((item_of(value),) for value in values)
            products = []
            for times in combined(clocked, values):
                if named & TIME_FIELDS:
                    products.append(filled({**times, **grid}, named, coarse))
                elif fallback is None:
                    products.append(ClockMask())
                else:
                    products.append(
                        ClockMask(1 << fallback // 3600, 1 << fallback // 60 % 60, 1 << fallback % 60)
                    )
            day_times = DayTimes(products, spans)
            dates = DateSet(DateRule((*terms, *dated, *own), *rule), shared, cells, meets(day_times))
            branches.append(Branch(dates, day_times))
        return branches

    def _calendar(
        self,
        branches: Sequence[Branch],
        *,
        interval_like: bool = False,
        hour_grid: bool = False,
        bounded: bool = True,
        required: bool = True,
    ) -> CalendarForm:
        if required and branches:
            self._require_match(branches)
        named = self._named()
        times = named & TIME_FIELDS
        windowed = frozenset[str]().union(*(window.fields for window in self.tree.windows)) & TIME_FIELDS
        finest = max((CLOCK_FIELDS.index(name) for name in times), default=-1)
        unnamed = any(name not in times for name in CLOCK_FIELDS[: finest + 1])
        return CalendarForm(
            self.clock,
            branches,
            interval_like=interval_like or bool(windowed) or unnamed,
            hour_restricted=hour_grid
            or "hour" in times | windowed
            or all(branch.times.only is not None for branch in branches),
            lower=self.anchor,
            upper=self.upper if bounded else None,
        )

    def _require_match(self, branches: Sequence[Branch]) -> None:
        if not any(branch.times.next(0) >= 0 and branch.dates.exists() for branch in branches):
            raise Impossible("no date and time satisfy every clause, so this never fires")
