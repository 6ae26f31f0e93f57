"""The RRULE form: wall times by a rule's dates and times, resolved to instants as calendars do.

A wall time in a gap is read with the offset before the gap, a doubled one is its first pass: this differs
from the calendar form for the sake of other programs that show the same rule.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice

from .calendarform import HORIZON, Branch, Fire
from .cells import CountedCells
from .clock import DAY, LAST_INSTANT, WIDEST_CHANGE, Clock, naive_of
from .dates import DateSet
from .daytimes import ClockMask, DayTimes
from .rruledates import RruleDates
from .rruletext import RruleText
from .spans import bits, mask_of

_UNITS = {"YEARLY": "year", "MONTHLY": "month", "WEEKLY": "week", "DAILY": "day"}
_COUNT_HORIZON = 2 * HORIZON
_DAYS_AT_ONCE = 366
_WEEK = 7
_PICKS_KEPT = 128
_STEPS = {"HOURLY": 3600, "MINUTELY": 60, "SECONDLY": 1}


class WallTimes:
    """The wall times of a rule of a day or more, from DTSTART (wall seconds) on."""

    def __init__(self, rule: RruleText, start: int) -> None:
        self.start = start
        self.positions = rule.values("BYSETPOS")
        self.picks_nothing = False  # of any period, by its BYSETPOS
        at = naive_of(start)
        unit = _UNITS[rule.frequency]
        pattern = RruleDates(rule, at.date())
        cells = CountedCells(unit, rule.interval, start // DAY, week_start=rule.week_start)
        self._cells = CountedCells(
            unit, rule.interval, cells.start(cells.cell(start // DAY)), week_start=rule.week_start
        )
        self.dates = DateSet(pattern, cells=self._cells)
        self.times = DayTimes(
            [
                ClockMask(
                    mask_of(rule.values("BYHOUR")) or 1 << at.hour,
                    mask_of(rule.values("BYMINUTE")) or 1 << at.minute,
                    mask_of(rule.values("BYSECOND")) or 1 << at.second,
                )
            ]
        )
        self._all_times = self.times.products[0].all() if self.positions else []
        if self.positions and unit == "day":
            # every period has the same times: the places among them can be looked up now
            count = len(self._all_times)
            places = {at - 1 if at > 0 else count + at for at in self.positions}
            picked = [self._all_times[at] for at in sorted(places) if 0 <= at < count]
            self.picks_nothing = not picked
            self.times = DayTimes([_at(second) for second in picked or self._all_times])
            self.positions = ()
        elif self.positions and unit == "week":
            most = len(self._all_times) * min(pattern.weekdays.bit_count() or _WEEK, _WEEK)
            self.picks_nothing = all(abs(position) > most for position in self.positions)
        self._branch = Branch(self.dates, self.times)
        self._known: dict[int, list[int]] = {}  # what is picked of a period, by the days that it has

    def next(self, wall: int, last: int) -> int | None:
        """The first wall second from ``wall`` on, on a date up to ``last``."""
        wall = max(wall, self.start)
        if self.picks_nothing:
            return None
        if not self.positions:
            return self._branch.next(wall, last)
        return next((picked for picked in self._all_picked(wall // DAY, last) if picked >= wall), None)

    def _all_picked(self, day: int, last: int) -> Iterator[int]:
        """What ``BYSETPOS`` picks from the period of a date on, up to another date."""
        last = min(last, LAST_INSTANT // DAY)
        cell = self._cells.cell(day)
        picked: list[int] = []
        while True:
            if not picked:
                found = self.dates.next(self._cells.start(cell), last)
                if found is None:
                    return
                cell = self._cells.cell(found)
            picked = self._picked(cell)
            for wall in picked:
                if wall // DAY > last:
                    return
                yield wall
            cell += self._cells.n
            if self._cells.start(cell) > last:
                return

    def _picked(self, cell: int) -> list[int]:
        """The results of a period, as ``BYSETPOS`` picks them."""
        start = self._cells.start(cell)
        end = self._cells.start(cell + 1)
        if self._cells.unit == "year":
            return self._places([day * DAY for day in self.dates.between(start, end - 1)])
        mask = self.dates.window(start, end - start)
        known = self._known.get(mask)
        if known is None:
            if len(self._known) >= _PICKS_KEPT:
                self._known.clear()
            known = self._known[mask] = self._places([day * DAY for day in bits(mask)])
        return [start * DAY + past for past in known]

    def _places(self, days: list[int]) -> list[int]:
        """The picked results of some days, each by its first second."""
        count = len(days) * len(self._all_times)
        picked = set()
        for position in self.positions:
            index = position - 1 if position > 0 else count + position
            if 0 <= index < count:
                which, time = divmod(index, len(self._all_times))
                picked.add(days[which] + self._all_times[time])
        return sorted(picked)

    def all(self, last: int) -> Iterator[int]:
        """Every wall second up to a date, in order."""
        day = self.start // DAY
        if self.picks_nothing:
            return
        if self.positions:
            yield from (wall for wall in self._all_picked(day, last) if self.start <= wall)
            return
        times = self.times.all()
        while day <= last:
            end = min(day + _DAYS_AT_ONCE, last)
            for found in self.dates.between(day, end):
                for second in times:
                    if (wall := found * DAY + second) >= self.start:
                        yield wall
            day = end + 1


def _at(second: int) -> ClockMask:
    return ClockMask(1 << second // 3600, 1 << second // 60 % 60, 1 << second % 60)


class CountedWalls:
    """The first so many wall times of a rule, those of 100 years from DTSTART on."""

    def __init__(self, walls: WallTimes, count: int) -> None:
        last = walls.start // DAY + _COUNT_HORIZON // DAY
        self._walls = list(islice(walls.all(last), count))
        self.last = self._walls[-1] if self._walls else walls.start

    def next(self, wall: int, last: int) -> int | None:
        """The first wall second from ``wall`` on, on a date up to ``last``."""
        index = bisect_left(self._walls, wall)
        if index == len(self._walls) or self._walls[index] // DAY > last:
            return None
        return self._walls[index]


class RruleForm:
    """A rule of a day or more, in a zone. ``excluded`` and ``upper`` are instants."""

    def __init__(
        self, clock: Clock, walls: WallTimes, count: int | None, upper: int | None, excluded: frozenset[int]
    ) -> None:
        self.clock = clock
        self.walls = walls
        self.upper = upper
        self.excluded = excluded
        self._start = clock.before_gap(walls.start)
        self._counted = None if count is None else CountedWalls(walls, count)

    def instant_after(self, instant: int) -> int | None:
        found = self.next(instant)
        return None if found is None else found.instant

    def next(self, instant: int) -> Fire | None:
        start = max(instant + 1, self._start)
        limit = start + HORIZON if self._counted is None else self._counted.last + WIDEST_CHANGE
        limit = min(limit, LAST_INSTANT)
        if self.upper is not None:
            limit = min(limit, self.upper)
        while True:
            fire = self._search(start, limit)
            if fire is None or fire.instant > limit:
                return None
            if fire.instant not in self.excluded:
                return fire
            start = fire.instant + 1

    def _search(self, start: int, limit: int) -> Fire | None:
        last = (limit + WIDEST_CHANGE) // DAY
        walls = self._counted or self.walls
        segment = self.clock.segment(start)
        while start <= limit:
            found: list[Fire] = []
            wall = start + segment.offset
            if segment.before > segment.offset:
                wall = max(wall, segment.start + segment.before)
            elif start + segment.before < segment.start + segment.offset:
                skipped = walls.next(start + segment.before, last)
                if skipped is not None and skipped < segment.start + segment.offset:
                    found.append(Fire(skipped - segment.before, skipped))
            match = walls.next(wall, last)
            if match is not None and match - segment.offset < segment.end:
                found.append(Fire(match - segment.offset, match))
            if found:
                return min(found)
            if match is None:
                return None
            start = segment.end
            if match > segment.end + segment.offset + WIDEST_CHANGE:
                start = match - WIDEST_CHANGE // 2
            segment = self.clock.segment(start)
        return None


class SteppedForm:
    """A rule of hours, minutes or seconds: DTSTART and every so many seconds of real time."""

    def __init__(
        self, clock: Clock, rule: RruleText, start: int, upper: int | None, excluded: frozenset[int]
    ) -> None:
        self.clock = clock
        self.start = start
        self.step = _STEPS[rule.frequency] * rule.interval
        self.excluded = sorted(excluded)
        if rule.times is not None:
            last = start + (rule.times - 1) * self.step
            upper = last if upper is None else min(last, upper)
        self.upper = upper

    def instant_after(self, instant: int) -> int | None:
        found = self.next(instant)
        return None if found is None else found.instant

    def next(self, instant: int) -> Fire | None:
        found = self.start
        if instant >= self.start:
            found += ((instant - self.start) // self.step + 1) * self.step
        index = bisect_left(self.excluded, found)
        while index < len(self.excluded) and self.excluded[index] <= found:
            if self.excluded[index] == found:
                found += self.step
            index += 1
        limit = LAST_INSTANT if self.upper is None else min(self.upper, LAST_INSTANT)
        return Fire(found, self.clock.wall(found)) if found <= limit else None
