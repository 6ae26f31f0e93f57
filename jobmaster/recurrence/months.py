"""Months by their number, counted from January of the year 0, and by their length and first weekday."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from functools import lru_cache

from .clock import EPOCH_ORDINAL

LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""Of the months of a year without a leap day."""


def new_year(year: int) -> tuple[int, bool]:
    """The weekday of a year's first day, Sunday = 0, and whether the year is a leap year."""
    past = year - 1
    leap = not year & 3 and (year % 100 != 0 or year % 400 == 0)
    return (1 + past + past // 4 - past // 100 + past // 400) % 7, leap


@lru_cache(maxsize=14)
def months_of(first: int, leap: bool) -> tuple[tuple[int, int, int], ...]:
    """The months of a year as number, weekday of the first day and length."""
    months = []
    for number, plain in enumerate(LENGTHS[1:], 1):
        length = plain + (leap and number == 2)
        months.append((number, first, length))
        first = (first + length) % 7
    return tuple(months)


def first_day(month: int) -> int:
    """The day number of the first of a month."""
    year, number = divmod(month, 12)
    return date(year, number + 1, 1).toordinal() - EPOCH_ORDINAL


def length_of(month: int) -> int:
    """The number of days of a month."""
    year, number = divmod(month, 12)
    return monthrange(year, number + 1)[1]
