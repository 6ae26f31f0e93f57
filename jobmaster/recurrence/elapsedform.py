"""The elapsed form: seconds, minutes and hours of real time, inside the runs that filters leave."""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property

from .calendarform import Branch, CalendarForm, Fire, horizon
from .clock import DAY, LAST_INSTANT, WIDEST_CHANGE, Clock
from .daterules import ALL_YEARS
from .reachable import ReachableDates, RunStart, usual_runs
from .spans import FULL, Spans, common, holds, united
from .wallsets import FinePoints, WallSet

_MOST_RESIDUES = 256
_CLEAR = 1 + WIDEST_CHANGE // DAY  # so many days apart, the clock shows later dates at the later instant
_MOST_EXCEPTED = 250
"""So many times may the first fire after a stretch of exceptions be excepted again, changes of the clocks not
counted; then the search is given up. It stays short by that, and gets there only where exceptions leave next
to nothing."""


class ElapsedForm:
    """``begin + k * n * unit`` in every run; all numbers are seconds.

    ``filters`` cuts real time into runs (``None``: one run from the anchor), ``allowed`` is what exceptions
    leave. The last run is remembered as a hint that saves looking for its beginning again.
    """

    def __init__(
        self,
        clock: Clock,
        anchor: int,
        unit: int,
        n: int,
        *,
        filters: WallSet | None = None,
        fine: FinePoints | None = None,
        allowed: WallSet | None = None,
        upper: int | None = None,
    ) -> None:
        self.clock = clock
        self.anchor = anchor
        self.unit = unit
        self.step = unit * n
        self.filters = filters
        self.fine = fine
        self.allowed = allowed
        self.upper = upper
        self._inside = _searched(clock, None if filters is None else filters.times())
        self._permitted = _searched(clock, None if allowed is None else allowed.times())
        self._origins = _searched(clock, None if fine is None else fine.branch)
        self._run: tuple[int, int] | None = None

    def instant_after(self, instant: int) -> int | None:
        found = self.next(instant)
        return None if found is None else found.instant

    def next(self, instant: int) -> Fire | None:
        """The first occurrence after an instant, given as whole seconds rounded down.

        ``None`` when there is none within the horizon, or when the search among exceptions is given up.
        """
        start = max(instant + 1, self.anchor)
        limit = horizon(start, ALL_YEARS if self.filters is None else self.filters.dates.years)
        if self.upper is not None and self.upper < limit:
            limit = self.upper
        excepted = 0
        while excepted < _MOST_EXCEPTED:
            found = self._next(start, limit)
            if found is None or found > limit:
                return None
            if self.allowed is None or self.allowed.has(self.clock.wall(found)):
                return Fire(found, self.clock.wall(found))
            following = self._after_exception(found, limit)
            if following is None:
                return None
            excepted += following < self.clock.segment(found).end
            start = following
        return None

    def _after_exception(self, found: int, limit: int) -> int | None:
        """An instant after ``found``, which is excepted, before which nothing fires."""
        segment = self.clock.segment(found)
        if self.allowed is None or self._permitted is None:
            return found + 1
        day = (found + segment.offset) // DAY
        last = (min(limit, segment.end) + segment.offset) // DAY
        far = (limit + segment.offset) // DAY + 2
        candidate = self._candidates.after(day, last, far, *self._cell_of(found))
        if candidate is not None and candidate > day:
            start = min(candidate * DAY - segment.offset, segment.end)
            if not self._candidates.usual:
                start = self._end(found, start)
            return start if start <= limit else None
        fixed = self._ever_allowed
        if (
            not holds(fixed, (found + segment.offset) % DAY)
            and len(fixed) <= _MOST_RESIDUES
            and self._steady(found)
        ):
            # Its time of day is excepted on every date: the next multiple of the step whose time is not.
            time = (found + segment.offset) % DAY
            hits = [first_hit(time, self.step, DAY, low, high - 1) for low, high in fixed]
            steps = min((hit for hit in hits if hit is not None), default=None)
            if steps is None or found + steps * self.step >= segment.end:
                return segment.end if segment.end <= limit else None
            return found + steps * self.step
        later = self._permitted.search(found + 1, limit)
        return None if later is None else later.instant

    def _cell_of(self, found: int) -> tuple[int | None, tuple[int, ...]]:
        """The time of day at which the cell of a fire begins and the offsets of its run; no time if the run
        began as usual, so that it fires when all runs do."""
        segment = self.clock.segment(found)
        begin = self._begin(found)
        if self._candidates.usual and self.filters is not None and begin > max(self.anchor, segment.start):
            return None, ()
        if self.fine is None:
            return (found + segment.offset) % DAY, (0,)
        origin = None if self._origins is None else self._origins.search(begin, found)
        if origin is None:
            raise ValueError(f"a fire at {found} has no origin")
        wall = found + segment.offset
        # a change of the clocks may have moved the cells, so that one lies in two units of the clock
        offsets = self.fine.offsets(origin.wall, self.unit)
        both = tuple(past + moved for moved in (-self.unit, 0, self.unit) for past in offsets)
        return (wall - wall % self.unit) % DAY, both

    @cached_property
    def _candidates(self) -> ReachableDates:
        if self.allowed is None:
            raise ValueError("without exceptions every fire counts")
        dates = None if self.filters is None else self.filters.dates
        fixed = FULL if self.filters is None else self.filters.fixed
        return ReachableDates(
            self.step, dates, fixed, self.allowed.dates, self.allowed.fixed, self._usual_starts()
        )

    def _usual_starts(self) -> list[RunStart] | None:
        """How runs begin; ``None`` when nobody knows."""
        if self.filters is None:
            return []
        runs = usual_runs(self.filters.dates, self.filters.fixed)
        if runs is None or self.fine is None:
            return None if runs is None else [RunStart(run[0], (0,), *run[1:]) for run in runs]
        if self.filters.dates.tests:
            return None
        found = []
        for begin, seconds, placed in runs:
            origin = self.fine.branch.times.next(begin)
            if origin < 0:
                return None
            most = None if seconds is None else seconds + self.unit
            offsets = self.fine.offsets(origin, self.unit)
            found.append(RunStart(origin - origin % self.unit, offsets, most, placed))
        return found

    def is_void(self) -> bool:
        """Whether it never fires, for its exceptions drop all that its runs come to."""
        return self.barren and self.upper is None and self.next(self.anchor - 1) is None

    @cached_property
    def _ever_allowed(self) -> Spans:
        """The times of day that are not excepted on every date."""
        if self.allowed is None:
            return FULL
        kinds = self.allowed.dates.kinds_of_day() if self.filters is None else None
        if kinds is None:
            return self.allowed.fixed
        return common(self.allowed.fixed, united(span for spans in kinds for span in spans))

    @cached_property
    def barren(self) -> bool:
        """Whether every fire of a day without a change of the clocks is excepted, since all of its runs begin
        and end at the same times as those of any other day."""
        if self.filters is None or self.allowed is None or self.fine is not None or self.filters.dates.tests:
            return False
        runs = self.filters.fixed
        if not runs or (runs[0][0] == 0 and runs[-1][1] >= DAY):
            return False  # a run may go on at midnight
        for low, high in common(runs, self.allowed.fixed):
            begin = next(start for start, end in runs if start <= low < end)
            if begin + -((begin - low) // self.step) * self.step < high:
                return False
        return True

    def _steady(self, found: int) -> bool:
        """Whether the next fires are multiples of the step away: one run, one fire in a cell."""
        if self.filters is not None:
            return False
        if self.fine is None:
            return True
        return len(self.fine.offsets(self.clock.wall(found), self.unit)) == 1

    def _next(self, start: int, limit: int) -> int | None:
        """The first fire from ``start`` on, exceptions left aside."""
        while start <= limit:
            inside = start
            if self._inside is not None:
                first = self._inside.search(start, limit)
                if first is None:
                    return None
                inside = first.instant
            begin = self._begin(inside)
            if self.fine is None:
                found = begin + -((begin - inside) // self.step) * self.step
                end = self._end(inside, found + 1)
                if found < end:
                    self._run = (begin, found)
                    return found
                start = end
                continue
            origin = None if self._origins is None else self._origins.search(begin, limit)
            if origin is None:
                return None
            if origin.instant >= inside:
                end = self._end(inside, origin.instant + 1)
                if end <= origin.instant:
                    start = origin.instant
                    continue
            found_or_end, fires = self._in_cells(max(inside, origin.instant), origin, limit)
            if fires:
                self._run = (begin, found_or_end)
                return found_or_end
            start = found_or_end
        return None

    def _in_cells(self, start: int, origin: Fire, limit: int) -> tuple[int, bool]:
        """The first fire of a run from ``start`` on, or else the end of the run."""
        if self.fine is None:
            raise ValueError("only fine points have cells")
        offsets = self.fine.offsets(origin.wall, self.unit)
        base = origin.instant - origin.wall % self.unit
        cell = base + (start - base) // self.step * self.step
        inside = start
        while cell <= limit:
            found = self._in_cell(max(start, cell), cell + self.unit, offsets)
            upto = max(cell, start) if found is None else found
            end = self._end(inside, upto + 1)
            if end <= upto:
                return end, False
            if found is not None:
                return found, True
            inside = upto
            cell += self.step
        return limit + 1, False

    def _in_cell(self, start: int, end: int, offsets: tuple[int, ...]) -> int | None:
        while start < end:
            segment = self.clock.segment(start)
            past = (start + segment.offset) % self.unit
            index = bisect_left(offsets, past)
            found = (
                start + offsets[index] - past
                if index < len(offsets)
                else start + self.unit - past + offsets[0]
            )
            if found < min(segment.end, end):
                return found
            start = segment.end
        return None

    def _begin(self, inside: int) -> int:
        """Where the run that holds an instant begins."""
        if self.filters is None:
            return self.anchor
        if self._run is not None:
            begin, seen = self._run
            if begin <= inside and (inside <= seen or self._end(seen, inside + 1) > inside):
                return begin
        while True:
            segment = self.clock.segment(inside)
            if inside - segment.start >= _CLEAR * DAY:
                # No change of the clocks breaks a run of whole dates, so there is none to be looked at.
                day = (inside + segment.offset) // DAY
                since = self.filters.whole_since(day, self.anchor // DAY - _CLEAR) + _CLEAR
                if since * DAY <= self.anchor:
                    return self.anchor
                if since * DAY < segment.start:
                    inside = since * DAY
                    segment = self.clock.segment(inside)
            least = max(segment.start, self.anchor)
            first = self.filters.begin(inside + segment.offset, least + segment.offset) - segment.offset
            if first > least or least == self.anchor:
                return first
            inside = segment.start - 1
            if not self.filters.has(inside + self.clock.offset(inside)):
                return segment.start

    def _end(self, inside: int, cap: int) -> int:
        """Where the run that holds an instant ends, or ``cap`` if that is earlier."""
        if self.filters is None:
            return cap
        cap = min(cap, LAST_INSTANT + 1)  # where every run ends
        while True:
            segment = self.clock.segment(inside)
            if cap > segment.end >= inside + _CLEAR * DAY:
                day = (inside + segment.offset) // DAY
                until = self.filters.whole_until(day, cap // DAY + 2 * _CLEAR) - _CLEAR
                if until * DAY >= cap:
                    return cap
                if until * DAY > segment.end:
                    inside = until * DAY
                    segment = self.clock.segment(inside)
            last = min(segment.end, cap)
            end = self.filters.end(inside + segment.offset, last + segment.offset) - segment.offset
            if end < last or last == cap:
                return end
            inside = segment.end
            if not self.filters.has(inside + self.clock.offset(inside)):
                return inside


def first_hit(start: int, step: int, modulus: int, low: int, high: int) -> int | None:
    """The least k >= 0 with ``low <= (start + k * step) % modulus <= high``, by the descent of Euclid.

    The interval lies inside ``0 .. modulus - 1``; ``None`` when no k does.
    """
    if low <= start % modulus <= high:
        return 0
    shift = start % modulus
    low, high = low - shift, high - shift
    if low < 0:
        low, high = low + modulus, high + modulus
    return _least_multiple(step % modulus, modulus, low, high)


def _least_multiple(step: int, modulus: int, low: int, high: int) -> int | None:
    """The least k >= 0 with ``low <= k * step % modulus <= high``, for ``0 < low <= high < modulus``."""
    if low == 0:
        return 0
    if step == 0:
        return None
    if 2 * step > modulus:  # going down by the rest instead keeps the descent logarithmic
        step, low, high = modulus - step, modulus - high, modulus - low
    k = -(-low // step)
    if k * step <= high:
        return k
    # No multiple of the step lies in the interval itself: look for one that is some moduli further.
    turns = _least_multiple(-modulus % step, step, low % step, high % step)
    if turns is None:
        return None
    return -(-(low + turns * modulus) // step)


def _searched(clock: Clock, branch: Branch | None) -> CalendarForm | None:
    if branch is None:
        return None
    return CalendarForm(clock, [branch], interval_like=True, hour_restricted=False)
