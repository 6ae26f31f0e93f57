"""Rules for dates by their fields: the matching days of a month as a bit mask, bit d for day d."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from .monthdays import ALL_WEEKDAYS, MonthDay, days_up_to, weekday_days
from .spans import Spans, common, united

ALL_MONTHS = 0b1111111111110
FIRST_YEAR, LAST_YEAR = 1, 9999
ALL_YEARS: Spans = ((FIRST_YEAR, LAST_YEAR + 1),)


class DatePattern(Protocol):
    """What a set of dates is made from: a rule that knows the matching days of any month."""

    @property
    def modulus(self) -> int:
        """Years match only in one remainder modulo this number."""

    @property
    def remainder(self) -> int: ...

    @property
    def is_steady(self) -> bool:
        """Whether all years are of one kind."""

    @property
    def months(self) -> int:
        """The months in which a date can match, as a mask."""

    @property
    def years(self) -> Spans:
        """The years in which a date can match, as spans."""

    def kind(self, year: int) -> int:
        """In years of one kind, months of the same number, first weekday and length have the same dates."""

    def mask(self, year: int, month: int, first: int, length: int) -> int: ...


class DateItem(NamedTuple):
    """Dates by their fields; a field left out allows every value, those given must all hold."""

    years: frozenset[int] | None = None
    months: int = ALL_MONTHS
    days: int | MonthDay | None = None
    weekdays: int = ALL_WEEKDAYS

    def mask(self, year: int, month: int, first: int, length: int) -> int:
        if not self.months >> month & 1 or (self.years is not None and year not in self.years):
            return 0
        mask = days_up_to(length)
        if isinstance(self.days, MonthDay):
            day = self.days.day(first, length)
            mask = 1 << day if day else 0
        elif self.days is not None:
            mask &= self.days
        if self.weekdays != ALL_WEEKDAYS:
            mask &= weekday_days(self.weekdays, first)
        return mask


class DateRule:
    """The dates that match one item of every term, in the years that are ``remainder`` modulo ``modulus``."""

    def __init__(
        self, terms: tuple[tuple[DateItem, ...], ...] = (), modulus: int = 1, remainder: int = 0
    ) -> None:
        self.terms = terms
        self.modulus = modulus
        self.remainder = remainder
        self.months = ALL_MONTHS
        self.years = ALL_YEARS
        self._named: set[int] = set()
        for term in terms:
            months = 0
            for item in term:
                months |= item.months
                self._named.update(item.years or ())
            self.months &= months
            if all(item.years is not None for item in term):
                self.years = common(
                    self.years, united((year, year + 1) for item in term for year in item.years or ())
                )
        self._of_year: tuple[int, tuple[tuple[DateItem, ...], ...]] = (0, ())

    def kind(self, year: int) -> int:
        """Years of one number are alike, but for their calendars."""
        if self.modulus > 1 and year % self.modulus != self.remainder:
            return -1
        return year if year in self._named else 0

    def mask(self, year: int, month: int, first: int, length: int) -> int:
        if self.modulus > 1 and year % self.modulus != self.remainder:
            return 0
        terms = self.terms
        if self._named:
            known, terms = self._of_year
            if known != year:
                terms = tuple(
                    tuple(item for item in term if item.years is None or year in item.years)
                    for term in self.terms
                )
                self._of_year = (year, terms)
        mask = days_up_to(length)
        for term in terms:
            found = 0
            for item in term:
                found |= item.mask(year, month, first, length)
            mask &= found
        return mask

    @property
    def is_steady(self) -> bool:
        return self.modulus == 1 and not self._named
