"""What a natural expression has to satisfy beyond its grammar."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Problem
from .clock import LAST_START
from .numerals import missing_days
from .spans import bits
from .syntax import Expression, Place, Points, Value

_MOST_ANCHORED = {"second": 60, "minute": 60, "hour": 24}
_PLURALS = {"second": "seconds", "minute": "minutes", "hour": "hours"}


def checked(tree: Expression) -> list[Problem]:
    """The problems of a tree that was read without any."""
    return [
        *_clauses(tree),
        *_fields(tree),
        *_anchor(tree),
        *_dates(tree),
        *_limits(tree),
    ]


def _clauses(tree: Expression) -> Iterator[Problem]:
    if tree.cadence is None and not tree.points:
        yield _problem("empty", "a cadence (every ...) or a point (on, at, in ...) is needed", (0, 0))
    if tree.cadence is None:
        for window in tree.windows:
            yield _problem("window", "a window needs a cadence (every ...)", window.at)


def _fields(tree: Expression) -> Iterator[Problem]:
    cadence = tree.cadence
    named = {"weekday"} if cadence is not None and cadence.weekdays is not None else set()
    anchored_week = cadence is not None and cadence.unit == "week" and cadence.anchor is not None
    for points in tree.points:
        if both := points.fields & named:
            yield _problem("repeated", f"the {min(both)} is named by an earlier clause", points.at)
        elif cadence is not None and cadence.unit in points.fields:
            message = (
                f"a point in the unit of the cadence: every {cadence.unit} has its {cadence.unit} already"
            )
            yield _problem("own_unit", message, points.at)
        elif anchored_week and "weekday" in points.fields:
            yield _problem("own_unit", "an anchored week has its weekday already", points.at)
        named |= points.fields


def _anchor(tree: Expression) -> Iterator[Problem]:
    cadence = tree.cadence
    if cadence is None or cadence.anchor is None:
        return
    most = _MOST_ANCHORED.get(cadence.unit)
    if most is not None and cadence.n > most:
        message = f"an anchored cadence of {_PLURALS[cadence.unit]} has at most {most}"
        yield _problem("range", message, cadence.n_at, (f"1-{most}",))


def _dates(tree: Expression) -> Iterator[Problem]:
    """Days that the months and years of the other clauses do not have."""
    for points in tree.points:
        for value in points.values:
            if not value.day_mask or not (found := _missing(tree, points, value)):
                continue
            expected = (f"1-{min(bits(found)) - 1}",)
            yield _problem("date", "there is no such date", value.place("day"), expected)


def _missing(tree: Expression, points: Points, value: Value) -> int:
    months, years = value.month, {value.year} if value.year is not None else set[int]()
    for other in tree.points:
        if other is points:
            continue
        if months is None and "month" in other.fields:
            months = 0
            for one in other.values:
                months |= one.month or 0
        if not years and "year" in other.fields:
            years = {one.year for one in other.values if one.year is not None}
    if months is None:
        return 0
    return missing_days(value.day_mask, months, frozenset(years) if years else None)


def _limits(tree: Expression) -> Iterator[Problem]:
    if tree.start is not None and (tree.start.year or 0) > LAST_START:
        place = (tree.start.start, tree.start.end)
        yield _problem("range", f"a start is in the years up to {LAST_START}", place, (f"1970-{LAST_START}",))
    if tree.start is None or tree.end is None:
        return
    if _number(tree.end, 99) < _number(tree.start, 0):
        place = (tree.end.start, tree.end.end)
        yield _problem("until", "until is before starting", place)


def _number(value: Value, unnamed: int) -> tuple[int, ...]:
    times = (value.hour, value.minute, value.second)
    date = (value.year or 0, value.month or 0, value.day_mask)
    return (*date, *(unnamed if number is None else number for number in times))


def _problem(code: str, message: str, place: Place, expected: tuple[str, ...] = ()) -> Problem:
    return Problem(code, message, place[0], place[1], expected)
