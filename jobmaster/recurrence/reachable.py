"""The dates on which an elapsed form can fire at all, told from the times of day that its fires come to.

While the clocks do not change, a run that begins at a time of day fires at few times of day. So a date
counts only if one of these times lies inside the filters on it and is not excepted: the search for the next
fire goes from one such date to the next, and needs not count through the runs between them. More times than
are really met do no harm: the dates are only candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import gcd
from typing import NamedTuple

from .clock import DAY
from .daterules import ALL_YEARS, DateItem, DateRule
from .dates import DateSet
from .monthdays import days_up_to
from .spans import FULL, Spans, common, united

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
        self._open = common(fixed, left)
        self._allowed = allowed
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
            known = (None if times is None else self._dates(_spans(times[None])),)
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
        times: dict[int | None, set[int]] = {}
        for start in starts:
            found = self._times(start)
            if found is None:
                return None
            for place, some in found.items():
                times.setdefault(place, set()).update(some)
        known = {place: _spans(some) for place, some in times.items()}
        sets = [self._dates(known[None])] if None in known else []
        last = max((place for place in known if place is not None), default=None)
        if self._filters is not None and last is not None:
            nothing = self._dates(())
            places = [self._dates(known[place]) if place in known else nothing for place in range(last + 1)]
            sets.append(DateSet(RunDays(self._filters, places)))
        return sets

    def _dates(self, times: Spans) -> DateSet:
        reached = common(times, self._open)
        if not reached:
            return DateSet(_NEVER)
        tests = (*(() if self._filters is None else self._filters.tests), *self._allowed.tests)
        rule = DateRule() if self._filters is None else self._filters.rule
        return DateSet(rule, tests, accept=lambda spans: bool(common(reached, spans)))

    def _times(self, start: RunStart) -> dict[int | None, set[int]] | None:
        """The times of day at which a run fires, by the place of the day or for any; ``None``: too many."""
        cells = DAY // gcd(self._step, DAY)  # after so many the times come again
        if start.seconds is not None:
            needed = -(-start.seconds // self._step)
            cells = needed if start.placed else min(cells, needed)
        if cells * len(start.offsets) > _MOST_TIMES:
            return None
        found: dict[int | None, set[int]] = {}
        for k in range(cells):
            for past in start.offsets:
                day, second = divmod(start.cell + k * self._step + past, DAY)
                found.setdefault(day if start.placed else None, set()).add(second)
        return found


def _spans(times: Iterable[int]) -> Spans:
    return united((at, at + 1) for at in times)


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
