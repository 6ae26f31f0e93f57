"""The calendar form: wall times by masks, in a zone with gaps and overlaps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

from .clock import DAY, EPOCH, FIRST_INSTANT, LAST_INSTANT, WIDEST_CHANGE, Clock
from .daterules import ALL_YEARS
from .dates import DateSet
from .daytimes import DayTimes
from .spans import Intersections, Spans

HORIZON = 50 * 366 * DAY
_AHEAD = 400  # days that are searched first where a calendar is a union


class Fire(NamedTuple):
    """An occurrence: the instant, and the wall time that was meant, which a gap may have swallowed."""

    instant: int
    wall: int


class Branch:
    """Some dates with their times of day; a calendar is the union of its branches.

    The last date that matched is kept, as a hint that saves looking it up again.
    """

    __slots__ = ("_common", "_dated", "_empty", "_today", "dates", "times")

    def __init__(self, dates: DateSet, times: DayTimes) -> None:
        self.dates = dates
        self.times = times
        self._common = Intersections()
        self._dated = bool(dates.tests)
        self._empty = times.next(0) < 0
        self._today: int | None = None

    def next(self, wall: int, last: int) -> int | None:
        """The first wall second from ``wall`` on that matches, on a date up to ``last``."""
        if self._empty:
            return None
        day = wall // DAY
        second = wall - day * DAY
        if second <= self.times.last:
            if day == self._today or self.dates.has(day):
                self._today = day
                found = self._time(day, second) if self._dated else self.times.next(second)
                if found >= 0:
                    return day * DAY + found
        following = self.dates.next(day + 1, last)
        if following is None:
            return None
        return following * DAY + (self._time(following, 0) if self._dated else self.times.next(0))

    def _time(self, day: int, second: int) -> int:
        return self.times.next_within(self._common(self.times.spans, self.dates.spans(day)), second)


class CalendarForm:
    """The union of branches, read by the rules for clock changes.

    ``hour_restricted``: all wall times skipped by one gap make one fire at the gap's end. ``interval_like``:
    a wall time that comes twice fires twice, else in its first pass only. ``lower`` and ``upper`` are
    instants, both included. ``horizon`` is how far a search goes past its start at most, in seconds.
    """

    def __init__(
        self,
        clock: Clock,
        branches: Iterable[Branch],
        *,
        interval_like: bool,
        hour_restricted: bool,
        lower: int | None = None,
        upper: int | None = None,
    ) -> None:
        self.clock = clock
        self.branches = tuple(branches)
        self.interval_like = interval_like
        self.hour_restricted = hour_restricted
        self.lower = lower
        self.upper = upper
        self._plain = len(self.branches) == 1 and self.branches[0].dates.years is ALL_YEARS
        self._clear = (0, 0, 0)

    def next(self, instant: int) -> Fire | None:
        """The first occurrence after an instant, given as whole seconds rounded down."""
        start = instant + 1
        if self.lower is not None and start < self.lower:
            start = self.lower
        limit = self._horizon(start)
        if self.upper is not None and self.upper < limit:
            limit = self.upper
        found = self.search(start, limit)
        return found if found is not None and found.instant <= limit else None

    def instant_after(self, instant: int) -> int | None:
        """``next`` without the wall time: the short way where no clock change and no bound is near."""
        start = instant + 1
        clear, end, offset = self._clear
        if clear <= start < end:
            found = self.branches[0].next(start + offset, (start + HORIZON) // DAY)
            if found is not None and found - offset < end and found - offset <= start + HORIZON:
                return found - offset
        elif self._plain and self.upper is None:
            segment = self.clock.segment(start)
            # From its second instant on, and past an overlap's second pass, a segment has no special rule.
            clear = segment.start + max(1, segment.before - segment.offset)
            if self.lower is not None:
                clear = max(clear, self.lower)
            self._clear = (clear, segment.end, segment.offset)
        fire = self.next(instant)
        return None if fire is None else fire.instant

    def search(self, start: int, limit: int) -> Fire | None:
        """The first occurrence from ``start`` to about ``limit``, bounds left aside."""
        last = (limit + WIDEST_CHANGE) // DAY
        segment = self.clock.segment(start)
        while start <= limit:
            wall = start + segment.offset
            if self.hour_restricted and start == segment.start and segment.before < segment.offset:
                skipped = self._wall(start + segment.before, last)
                if skipped is not None and skipped < wall:
                    return Fire(start, skipped)
            if segment.before > segment.offset and not self.interval_like:
                wall = max(wall, segment.start + segment.before)  # the rest of an overlap's second pass
            match = self._wall(wall, last)
            if match is None:
                return None
            if match - segment.offset < segment.end:
                return Fire(match - segment.offset, match)
            if match > segment.end + segment.offset + WIDEST_CHANGE:
                start = match - WIDEST_CHANGE // 2
                segment = self.clock.segment(start)
                continue
            start = segment.end
            segment = self.clock.segment(start)
        return None

    def _wall(self, wall: int, last: int) -> int | None:
        if len(self.branches) == 1:
            return self.branches[0].next(wall, last)
        # No branch is searched far beyond what another one has found.
        upto = wall // DAY
        ahead = _AHEAD
        while upto < last:
            upto = min(upto + ahead, last)
            found: int | None = None
            for branch in self.branches:
                match = branch.next(wall, upto if found is None else found // DAY)
                if match is not None and (found is None or match < found):
                    found = match
            if found is not None:
                return found
            wall = (upto + 1) * DAY
            ahead *= 4
        return None

    def _horizon(self, start: int) -> int:
        return (
            horizon(start, self.branches[0].dates.years)
            if len(self.branches) == 1
            else max((horizon(start, branch.dates.years) for branch in self.branches), default=start)
        )


def horizon(start: int, years: Spans) -> int:
    """The last instant of a search: 50 years after its start or after the next year that is named."""
    if years is not ALL_YEARS:
        year = (EPOCH + timedelta(seconds=min(max(start, FIRST_INSTANT), LAST_INSTANT))).year
        later = next((low for low, _ in years if low > year), year)
        start = max(start, (later - 1970) * 366 * DAY)
    return min(start + HORIZON, LAST_INSTANT)
