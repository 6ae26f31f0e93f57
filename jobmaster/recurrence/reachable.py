"""The dates on which an elapsed form can fire at all, told from the times of day that its fires come to.

While the clocks do not change, a run that begins at a time of day fires at few times of day. So a date
counts only if one of these times lies inside the filters on it and is not excepted: the search for the next
fire goes from one such date to the next, and needs not count through the runs between them. More times than
are really met do no harm: the dates are only candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import NamedTuple

from .clock import DAY
from .daterules import ALL_YEARS, DateItem, DateRule
from .dates import DateSet
from .eras import DayTests
from .monthdays import days_up_to
from .spans import FULL, Spans, common, repeated, second_mask

_NEVER = DateRule(((DateItem(months=0),),))
_MOST_TIMES = 43_200
_MOST_KEPT = 16
_MOST_PLACES = 7
"""Days of a run that are told apart."""


class RunStart(NamedTuple):
    """How runs begin on days without a change of the clocks."""

    cell: int
    """The time of day of the first cell."""
    offsets: tuple[int, ...]
    """Seconds from the begin of a chosen cell at which it fires."""
    seconds: int | None
    """How long such a run lasts at most after its first cell has begun; ``None``: any time."""
    placed: bool
    """Whether it begins with the first of some dates in a row, so that its times belong to their places."""


class RunDays:
    """The dates that ``candidates`` holds for the place, from 0 on, that they have in a run of dates of
    ``base``."""

    modulus = 1
    remainder = 0
    is_steady = False
    years = ALL_YEARS

    def __init__(self, base: DateSet, candidates: Sequence[DateSet]) -> None:
        self._base = base
        self._candidates = candidates
        self.months = base.rule.months

    def kind(self, year: int) -> int:
        """Every year is one of its own: runs come from the month before."""
        return year

    def mask(self, year: int, month: int, first: int, length: int) -> int:
        number = year * 12 + month - 1
        before, known = self._base.with_month_before(number)
        found = 0
        run = known  # those before which there are as many others in a row as the place says
        for place, dates in enumerate(self._candidates):
            longer = run & known << (place + 1)
            if here := (run ^ longer) >> before << 1 & days_up_to(length):
                found |= here & dates.mask(number)
            run = longer
        return found


class ReachableDates:
    """Candidate dates for fires every ``step`` seconds.

    ``filters`` are the dates of the filters and ``fixed`` the seconds that they leave of every day;
    ``allowed`` and ``left`` the same of the exceptions. ``starts`` are those of runs that begin as usual;
    ``None``: nobody knows.
    """

    def __init__(
        self,
        step: int,
        filters: DateSet | None,
        fixed: Spans,
        allowed: DateSet,
        left: Spans,
        starts: Sequence[RunStart] | None,
    ) -> None:
        self._step = step
        self._filters = filters
        self._open = second_mask(common(fixed, left))
        self._allowed = allowed
        self._tests = DayTests((*(() if filters is None else filters.tests), *allowed.tests))
        self._seen: dict[int, tuple[DateSet, int, int]] = {}
        self._own: dict[tuple[int, tuple[int, ...]], tuple[DateSet | None]] = {}
        usual = None if starts is None else self._by_place(starts)
        self.usual = usual is not None
        """Whether anything is known but of the present run."""
        self._usual = usual or []

    def after(self, day: int, last: int, far: int, cell: int | None, offsets: tuple[int, ...]) -> int | None:
        """The first candidate from a date to ``last``; ``last + 1`` when there is none, ``None`` when nobody
        knows. ``far``: the date to which the whole search goes. ``cell``: the time of day of a cell of the
        present run, unless that began as usual."""
        sets = self._usual
        if cell is not None:
            own = self._of_run(cell, offsets)
            if own is None:
                return None
            sets = [*sets, own]
        found = [first for dates in sets if (first := self._first(dates, day, far)) <= last]
        return min(found, default=last + 1)

    def _of_run(self, cell: int, offsets: tuple[int, ...]) -> DateSet | None:
        """The candidates of a run that did not begin as usual; ``None`` when its times are many."""
        key = (cell % gcd(self._step, DAY), offsets)
        known = self._own.get(key)
        if known is None:
            times = self._times(RunStart(cell, offsets, None, False))
            known = (None if times is None else self._dates(times[None]),)
            if len(self._own) >= _MOST_KEPT:
                self._own.clear()
                self._seen.clear()
            self._own[key] = known
        return known[0]

    def _first(self, dates: DateSet, day: int, far: int) -> int:
        """The first of some candidates; a date beyond ``far`` when there is none. What was found before is
        not looked for again."""
        seen, since, found = self._seen.get(id(dates), (dates, 0, -1))
        if seen is dates and since <= day <= found:
            return found
        first = dates.next(day, far)
        found = far + 1 if first is None else first
        self._seen[id(dates)] = (dates, day, found)
        return found

    def _by_place(self, starts: Sequence[RunStart]) -> list[DateSet] | None:
        """Dates by their place in a run, where that matters."""
        times: dict[int | None, int] = {}
        for start in starts:
            found = self._times(start)
            if found is None:
                return None
            for place, some in found.items():
                times[place] = times.get(place, 0) | some
        sets = [self._dates(times[None])] if None in times else []
        last = max((place for place in times if place is not None), default=None)
        if self._filters is not None and last is not None:
            places = [self._dates(times.get(place, 0)) for place in range(last + 1)]
            sets.append(DateSet(RunDays(self._filters, places)))
        return sets

    def _dates(self, times: int) -> DateSet:
        reached = times & self._open
        if not reached:
            return DateSet(_NEVER)
        rule = DateRule() if self._filters is None else self._filters.rule
        return DateSet(rule, self._tests, accept=lambda spans: bool(reached & second_mask(spans)))

    def _times(self, start: RunStart) -> dict[int | None, int] | None:
        """The times of day at which a run fires, as bits, by the place of the day or for any; ``None``: too
        many."""
        cells = DAY // gcd(self._step, DAY)  # after so many the times come again
        if start.seconds is not None:
            needed = -(-start.seconds // self._step)
            cells = needed if start.placed else min(cells, needed)
        if cells * len(start.offsets) > _MOST_TIMES:
            return None
        found: dict[int | None, int] = {}
        if not start.placed and cells == DAY // gcd(self._step, DAY):
            every = gcd(self._step, DAY)
            mask = 0
            for past in start.offsets:
                mask |= 1 << (start.cell + past) % every
            return {None: mask * repeated(every, DAY // every)}
        for past in start.offsets:
            k = 0
            while k < cells:
                day, second = divmod(start.cell + k * self._step + past, DAY)
                many = min((DAY - 1 - second) // self._step + 1, cells - k)
                place = day if start.placed else None
                found[place] = found.get(place, 0) | repeated(self._step, many) << second
                k += many
        return found


def usual_runs(dates: DateSet, fixed: Spans) -> list[tuple[int, int | None, bool]] | None:
    """At which times of day the runs of a filter begin, how many seconds they last at most (``None``: any
    time) and whether their times belong to places; ``None`` when years differ."""
    if not dates.tests and fixed == FULL:
        days = dates.longest_run(_MOST_PLACES)
        return [(0, None if days is None else days * DAY, days is not None)]
    kinds = dates.kinds_of_day()
    if kinds is None:
        return None
    pieces = {piece for spans in kinds for piece in common(fixed, spans)}
    more: int | None = max((high for low, high in pieces if low == 0), default=0)
    if more == DAY:
        more = None
    chained = not dates.tests and fixed[-1][1] == DAY
    found: list[tuple[int, int | None, bool]] = []
    for low, high in pieces:
        if high < DAY:
            found.append((low, high - low, chained and low == 0))
        else:
            found.append((low, None if more is None else DAY - low + more, False))
    return found
