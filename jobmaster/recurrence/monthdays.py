"""Days of a month that a calendar has to be asked for: the last, the second Monday, the one nearest the 15th.

Weekdays are numbered from Sunday = 0. A month is known by the weekday of its first day and its length.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

DayKind = Literal[
    "last", "before_last", "first", "clipped", "nth", "first_workday", "last_workday", "closest", "nearest"
]

SUNDAY, MONDAY, FRIDAY, SATURDAY = 0, 1, 5, 6
WORKDAYS = 0b0111110
"""Monday to Friday as a mask."""
WEEKEND = 0b1000001
ALL_WEEKDAYS = 0b1111111

# The days, counted from 0, that have the weekday of day 0.
_EVERY_SEVENTH = sum(1 << day for day in range(0, 42, 7))


class MonthDay(NamedTuple):
    """One day of every month, or none in a month that lacks it.

    ``last`` and ``first`` are the ends of the month; ``before_last`` is ``number`` days before the last,
    which a short month may lack; ``clipped`` is day ``number``, cut to the month's
    length; ``nth`` is the ``number``-th ``weekday``, the last one when ``number`` is -1; ``first_workday``
    and ``last_workday`` run from Monday to Friday; ``nearest`` is the Monday-to-Friday day nearest to day
    ``number``, which the month must have, and ``closest`` cuts ``number`` to the month's length before.
    ``offset`` moves the day, but not out of its month.
    """

    kind: DayKind
    number: int = 0
    weekday: int = 0
    offset: int = 0

    def day(self, first: int, length: int) -> int:
        """The day in a month that begins on weekday ``first``; 0 when the month has no such day."""
        day = self._plain(first, length)
        if day and self.offset:
            return min(max(day + self.offset, 1), length)
        return day

    def _plain(self, first: int, length: int) -> int:
        match self.kind:
            case "last":
                return length
            case "before_last":
                return max(length - self.number, 0)
            case "first":
                return 1
            case "clipped":
                return min(self.number, length)
            case "first_workday":
                return near(1, first, length)
            case "last_workday":
                return near(length, first, length)
            case "closest":
                return near(min(self.number, length), first, length)
            case "nearest":
                return near(self.number, first, length) if self.number <= length else 0
            case "nth":
                day = (self.weekday - first) % 7 + 1
                if self.number > 0:
                    day += (self.number - 1) * 7
                    return day if day <= length else 0
                return day + (length - day) // 7 * 7


def near(day: int, first: int, length: int) -> int:
    """The Monday-to-Friday day nearest to ``day`` inside the month: Saturday goes back, Sunday forward."""
    weekday = (first + day - 1) % 7
    if weekday == SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == SUNDAY:
        return day + 1 if day < length else day - 2
    return day


def weekday_days(weekdays: int, first: int) -> int:
    """The days, as a mask from bit 1 on, whose weekday is in a mask; days past the month's end included."""
    days = 0
    for weekday in range(7):
        if weekdays >> weekday & 1:
            days |= _EVERY_SEVENTH << ((weekday - first) % 7 + 1)
    return days


def days_up_to(length: int) -> int:
    """The mask of the days of a month of this length."""
    return (1 << (length + 1)) - 2
