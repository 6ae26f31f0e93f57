"""The vocabulary of natural expressions, and the word that a misspelt one was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

FIELDS = ("year", "month", "day", "weekday", "hour", "minute", "second")
"""From coarse to fine; the order in which windows compare, the weekday apart."""
DATE_FIELDS = frozenset(("year", "month", "day", "weekday"))
TIME_FIELDS = frozenset(("hour", "minute", "second"))

RANGES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "year": (1970, 9999),
        "month": (1, 12),
        "day": (1, 31),
        "weekday": (1, 7),
        "hour": (0, 23),
        "minute": (0, 59),
        "second": (0, 59),
    }
)

_UNIT_SPELLINGS = {
    "second": "sec second secs seconds",
    "minute": "min minute mins minutes",
    "hour": "hr hour hrs hours",
    "day": "dy day dys days",
    "week": "wk week wks weeks",
    "month": "mth month mths months",
    "year": "yr year yrs years",
}
UNITS = MappingProxyType({word: unit for unit, words in _UNIT_SPELLINGS.items() for word in words.split()})
SHORTCUTS = MappingProxyType(
    {
        "secondly": "second",
        "minutely": "minute",
        "hourly": "hour",
        "daily": "day",
        "weekly": "week",
        "monthly": "month",
        "yearly": "year",
    }
)
WEEKDAY_NAMES = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTH_NAMES = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
SHORT_WEEKDAYS = tuple(name[:3] for name in WEEKDAY_NAMES)
SHORT_MONTHS = tuple(name[:3] for name in MONTH_NAMES)
WEEKDAYS = MappingProxyType({name: n for n, long in enumerate(WEEKDAY_NAMES) for name in (long, long[:3])})
"""Weekday words to numbers, Sunday = 0."""
MONTHS = MappingProxyType({name: n for n, long in enumerate(MONTH_NAMES, 1) for name in (long, long[:3])})
NTH = MappingProxyType({"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1})
ORDINAL_WORDS = ("first", "second", "third", "fourth", "fifth")
ORDINAL_ENDINGS = ("st", "nd", "rd", "th")

PREPOSITIONS = frozenset(("on", "at", "in"))
CLAUSE_WORDS = frozenset(
    (
        *PREPOSITIONS,
        *SHORTCUTS,
        "every",
        "between",
        "from",
        "upto",
        "except",
        "starting",
        "until",
        "tz",
        "timezone",
    )
)
ANCHOR_WORDS = frozenset(base + tail for base in ("anchored", "based") for tail in ("on", "at", "in"))
LAST_DAY = frozenset(("lastday", "lastdayofmonth", "lastdayofthemonth"))
FIRST_DAY = frozenset(("firstday", "firstdayofmonth", "firstofthemonth"))
VALUE_WORDS = frozenset(
    (
        *UNITS,
        *WEEKDAYS,
        *MONTHS,
        *NTH,
        *LAST_DAY,
        *FIRST_DAY,
        "weekdays",
        "weekends",
        "noon",
        "midnight",
        "firstweekday",
        "lastweekday",
        "closestweekdayto",
        "closest",
        "am",
        "pm",
    )
)


def ordinal(number: int) -> str:
    """``1st``, ``2nd``, ``13th``."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def nearest(word: str, valid: Iterable[str], most: int = 2) -> str | None:
    """The valid word closest to ``word``, within ``most`` edits; among equals the first of the alphabet."""
    word = word.lower()
    best: tuple[int, bool, str] | None = None
    for candidate in valid:
        if abs(len(candidate) - len(word)) <= most:
            edits = distance(word, candidate.lower())
            rank = (edits, candidate[-1:].lower() != word[-1:], candidate)  # a plural for a plural
            if edits <= most and edits < len(candidate) and (best is None or rank < best):
                best = rank
    return None if best is None else best[2]


def distance(left: str, right: str) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours between two words (optimal alignment)."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        above, row, older = row, [i], before
        for j, b in enumerate(right, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        before = above
    return row[-1]
