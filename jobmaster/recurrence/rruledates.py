"""Which dates an RRULE allows: every BY part is a condition on a date, after RFC 5545."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from .daterules import ALL_MONTHS, ALL_YEARS
from .monthdays import MonthDay, days_up_to, weekday_days
from .rruletext import RruleText
from .spans import Spans, mask_of

_WEEK = 7
_FIRST_WEEK_HAS = 4  # a week belongs to the year that has at least this many of its days (ISO 8601)


class RruleDates:
    """The date test of one rule, a month at a time; parts that DTSTART implies are written out."""

    modulus = 1
    remainder = 0

    def __init__(self, rule: RruleText, start: date) -> None:
        self._week_start = rule.week_start
        self._month_days = rule.values("BYMONTHDAY")
        self._year_days = rule.values("BYYEARDAY")
        self._weeks = rule.values("BYWEEKNO")
        days = rule.parts["BYDAY"].days if "BYDAY" in rule.parts else ()
        months: Iterable[int] = rule.values("BYMONTH")
        if not (self._month_days or self._year_days or self._weeks or days):
            if rule.frequency == "WEEKLY":
                days = ((0, start.isoweekday() % _WEEK),)
            elif rule.frequency in ("MONTHLY", "YEARLY"):
                self._month_days = (start.day,)
                if rule.frequency == "YEARLY" and not months:
                    months = (start.month,)
        self._months = mask_of(months) or ALL_MONTHS
        self._plain = mask_of(day for number, day in days if not number)
        self.weekdays = self._plain if len(days) == sum(not number for number, _ in days) else 0
        self._ranked = tuple((number, day) for number, day in days if number)
        self._ranks_in_year = rule.frequency == "YEARLY" and self._months == ALL_MONTHS
        if "BYMONTH" in rule.parts:
            self._ranks_in_year = False

    @property
    def is_steady(self) -> bool:
        return not (self._year_days or self._weeks or (self._ranked and self._ranks_in_year))

    def kind(self, year: int) -> int:
        """What days and weeks of a year depend on but its calendar: the lengths of the years around it."""
        if self.is_steady:
            return 0
        return sum((_year_length(year + past) == 366) << past + 1 for past in (-1, 0, 1))

    @property
    def months(self) -> int:
        return self._months

    @property
    def years(self) -> Spans:
        return ALL_YEARS

    def mask(self, year: int, month: int, first: int, length: int) -> int:
        if not self._months >> month & 1:
            return 0
        mask = days_up_to(length)
        if self._month_days:
            mask &= mask_of(
                day if day > 0 else length + 1 + day for day in self._month_days if day >= -length
            )
        if self._plain or self._ranked:
            found = weekday_days(self._plain, first)
            if self._ranked and not self._ranks_in_year:
                for number, weekday in self._ranked:
                    found |= _ranked(number, weekday, first, length)
            elif self._ranked:
                found |= self._ranked_in_year(year, month)
            mask &= found
        if self._year_days:
            mask &= _in_month(self._year_day_numbers(year), year, month)
        if self._weeks and mask:
            mask &= self._week_days(year, month, length)
        return mask

    def _year_day_numbers(self, year: int) -> list[int]:
        length = _year_length(year)
        return [day if day > 0 else length + 1 + day for day in self._year_days]

    def _ranked_in_year(self, year: int, month: int) -> int:
        length = _year_length(year)
        first = date(year, 1, 1).isoweekday() % _WEEK
        numbers = []
        for number, weekday in self._ranked:
            day = (weekday - first) % _WEEK + 1
            if number > 0:
                numbers.append(day + (number - 1) * _WEEK)
            else:
                numbers.append(day + (length - day) // _WEEK * _WEEK + (number + 1) * _WEEK)
        return _in_month([day for day in numbers if 1 <= day <= length], year, month)

    def _week_days(self, year: int, month: int, length: int) -> int:
        mask = 0
        ordinal = date(year, month, 1).toordinal()
        day = 1
        while day <= length:
            number, weeks, left = self._week(ordinal + day - 1)
            if number in self._weeks or number - weeks - 1 in self._weeks:
                mask |= days_up_to(min(day + left, length)) & ~days_up_to(day - 1)
            day += left + 1
        return mask

    def _week(self, ordinal: int) -> tuple[int, int, int]:
        """The number of a date's week, how many weeks its week-year has, and the days left of the week."""
        past = (ordinal - self._week_start) % _WEEK  # ordinal 0 was a Sunday
        monday = ordinal - past
        middle = max(min(monday + _FIRST_WEEK_HAS - 1, date.max.toordinal()), 1)
        year = date.fromordinal(middle).year
        start = self._first_week(year)
        weeks = (self._first_week(year + 1) - start) // _WEEK
        return (monday - start) // _WEEK + 1, weeks, _WEEK - 1 - past

    def _first_week(self, year: int) -> int:
        new_year = 365 * (year - 1) + (year - 1) // 4 - (year - 1) // 100 + (year - 1) // 400 + 1
        fourth = new_year + _FIRST_WEEK_HAS - 1
        return fourth - (fourth - self._week_start) % _WEEK


def _ranked(number: int, weekday: int, first: int, length: int) -> int:
    if number == -1 or number > 0:
        day = MonthDay("nth", number, weekday).day(first, length)
    else:
        day = MonthDay("nth", -1, weekday).day(first, length) + (number + 1) * _WEEK
    return 1 << day if day >= 1 else 0


def _in_month(year_days: Iterable[int], year: int, month: int) -> int:
    before = (date(year, month, 1) - date(year, 1, 1)).days
    return mask_of(day - before for day in year_days if 1 <= day - before <= 31)


def _year_length(year: int) -> int:
    return 366 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 365
