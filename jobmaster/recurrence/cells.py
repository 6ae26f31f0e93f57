"""The cells of a calendar cadence: every Nth day, week, month or year, counted from an origin."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from types import MappingProxyType

from .clock import EPOCH_ORDINAL
from .daterules import LAST_YEAR
from .dates import DateSet
from .spans import bits

_MONTHS = 12
_WEEK = 7
_SHORTEST = MappingProxyType({"day": 1, "week": 7, "month": 28, "year": 365})
_FAR = 62
"""Days between chosen cells from which on it is worth to look where a run ends."""


class CountedCells:
    """Every ``n``-th cell from the one that holds ``origin``; no date before the origin.

    With ``runs``, counting starts anew in every unbroken run of those dates that does not hold the origin,
    at the first date of the run that one of ``matches`` holds.
    """

    def __init__(
        self,
        unit: str,
        n: int,
        origin: int,
        runs: DateSet | None = None,
        matches: Sequence[DateSet] = (),
        week_start: int = 0,
    ) -> None:
        self.unit = unit
        self.n = n
        self.origin = origin
        self._runs = runs
        self._matches = matches
        self._shift = (4 - week_start) % _WEEK  # 1970-01-01 was a Thursday
        self._base = self.cell(origin)
        self._known = (origin, origin, self._base)  # the run asked for last: a hint, changing no answer

    def cell(self, day: int) -> int:
        """The number of the cell of a date. Weeks begin on ``week_start``, Sunday = 0."""
        if self.unit == "day":
            return day
        if self.unit == "week":
            return (day + self._shift) // _WEEK
        at = date.fromordinal(day + EPOCH_ORDINAL)
        return at.year if self.unit == "year" else at.year * _MONTHS + at.month - 1

    def chosen(self, day: int) -> bool:
        if day < self.origin:
            return False
        base = self._base
        if self._runs is not None:
            _, base = self._run(self._runs, day)
        return (self.cell(day) - base) % self.n == 0

    def select(self, mask: int, before: int) -> int:
        """Of the days of a month, given as a mask, those that are chosen; ``before``: the date before it."""
        if before < self.origin:
            mask &= -1 << (self.origin - before)
        if self.n == 1 or not mask:
            return mask
        if self._runs is not None:
            for number in bits(mask):
                if not self.chosen(before + number):
                    mask ^= 1 << number
            return mask
        if self.unit in ("month", "year"):
            return mask if (self.cell(before + 1) - self._base) % self.n == 0 else 0
        chosen = 0
        last = before + mask.bit_length() - 1
        cell = self.cell(before + 1)
        cell += (self._base - cell) % self.n
        while (low := max(self.start(cell), before + 1)) <= last:
            chosen |= ((1 << (self.start(cell + 1) - low)) - 1) << (low - before)
            cell += self.n
        return mask & chosen

    def jump(self, day: int) -> int:
        if day <= self.origin:
            return self.origin
        base = self._base
        if self._runs is not None:
            if self.n * _SHORTEST[self.unit] < _FAR or not self._runs.has(day):
                return day
            start = self._runs.run_start(day, self.origin)
            if start > self.origin and all(dates.next(start, day) is None for dates in self._matches):
                return day  # counting has not begun in this run
            _, base = self._run(self._runs, day)
        beyond = (base - self.cell(day)) % self.n
        if beyond == 0:
            return day
        chosen = self.start(self.cell(day) + beyond)
        if self._runs is None:
            return chosen
        end = self._runs.run_end(day, chosen)
        return chosen if end >= chosen else end + 1

    def start(self, cell: int) -> int:
        """The first date of a cell; a date past the end of the calendar if it has none."""
        if self.unit == "day":
            return cell
        if self.unit == "week":
            return cell * _WEEK - self._shift
        year, month = (cell, 0) if self.unit == "year" else divmod(cell, _MONTHS)
        if year > LAST_YEAR:
            return date.max.toordinal()
        return date(year, month + 1, 1).toordinal() - EPOCH_ORDINAL

    def _run(self, runs: DateSet, day: int) -> tuple[int, int]:
        """The first date of a date's run, and the cell from which the run counts."""
        start, seen, base = self._known
        if start <= day <= seen:
            return start, base
        if seen + 1 == day or (seen < day and runs.run_start(day, seen) == seen):
            self._known = (start, day, base)
            return start, base
        start = runs.run_start(day, self.origin)
        base = self._base
        if start > self.origin:
            base = self.cell(self._first_match(start, day))
        self._known = (start, day, base)
        return start, base

    def _first_match(self, start: int, last: int) -> int:
        found = [day for dates in self._matches if (day := dates.next(start, last)) is not None]
        return min(found, default=last)
