"""Pieces of the compiler: dates and times of day from the values of clauses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product

from ..errors import Problem
from .clock import naive_of, wall_of
from .daterules import DateItem
from .daytimes import ClockMask, DayTimes
from .monthdays import MonthDay
from .spans import ALL_24, ALL_60, MANY, Spans, bits, common, mask_of, second_mask
from .syntax import Points, Value
from .walltests import item_of
from .words import RANGES, TIME_FIELDS

CLOCK_FIELDS = ("hour", "minute", "second")
FREE = {"hour": ALL_24, "minute": ALL_60, "second": ALL_60}
_MOST_COMBINATIONS = 1_000

Clocked = dict[str, int]
"""Masks of the time fields that are named."""


class Impossible(Exception):
    """The expression never fires, whatever the anchor; ``problem`` says so."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.problem = Problem("never", message, 0, 0)


def meets(times: DayTimes) -> Callable[[Spans], bool]:
    def met(spans: Spans) -> bool:
        if len(spans) + len(times.spans) > MANY:
            return bool(times.mask & second_mask(spans))
        return times.next_within(common(times.spans, spans), 0) >= 0

    return met


def wall_of_value(value: Value, end: int) -> int:
    """The first or last wall second of a full date with a time as precise as it was written."""
    unnamed = {name: RANGES[name][end] for name in CLOCK_FIELDS}
    hour = unnamed["hour"] if value.hour is None else value.hour
    minute = unnamed["minute"] if value.minute is None else value.minute
    second = unnamed["second"] if value.second is None else value.second
    date = naive_of(0).replace(
        year=value.year or 1970, month=bits(value.month or 2)[0], day=bits(value.day_mask)[0]
    )
    return wall_of(date.replace(hour=hour, minute=minute, second=second))


def term_of(clause: Points) -> tuple[DateItem, ...]:
    """The dates of a clause as few items: values of one and the same single field become one mask."""
    items = [item_of(value) for value in clause.values]
    if clause.fields == {"weekday"}:
        return (DateItem(weekdays=_union(item.weekdays for item in items)),)
    if clause.fields == {"month"}:
        return (DateItem(months=_union(item.months for item in items)),)
    if clause.fields == {"day"}:
        plain = _union(item.days for item in items if isinstance(item.days, int))
        special = tuple(item for item in items if not isinstance(item.days, int))
        return (DateItem(days=plain), *special) if plain else special
    return tuple(items)


def _union(masks: Iterable[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found


def choices(mixed: Sequence[Points]) -> list[tuple[Value, ...]]:
    """One value of every clause that names dates and times together."""
    count = 1
    for clause in mixed:
        count *= len(clause.values)
    if count > _MOST_COMBINATIONS:
        raise Impossible(f"the lists combine to more than {_MOST_COMBINATIONS} dates and times")
    return list(product(*(clause.values for clause in mixed)))


def combined(clauses: Sequence[Points], values: Sequence[Value] = ()) -> list[Clocked]:
    """The time fields of every combination of the clauses' values, with those of some values beside them."""
    lists = [_clocked(clause.values) for clause in clauses]
    lists += [_clocked((value,)) for value in values]
    count = 1
    for one in lists:
        count *= len(one)
    if count > _MOST_COMBINATIONS:
        raise Impossible(f"the lists combine to more than {_MOST_COMBINATIONS} times of day")
    return [{name: mask for part in parts for name, mask in part.items()} for parts in product(*lists)]


def _clocked(values: Sequence[Value]) -> list[Clocked]:
    found = [
        {name: 1 << number for name in CLOCK_FIELDS if (number := getattr(value, name)) is not None}
        for value in values
    ]
    if len(found[0]) == 1:  # one field: its values make one mask
        (name,) = found[0]
        return [{name: _union(one[name] for one in found)}]
    return found


def filled(times: Clocked, named: frozenset[str], coarse: Clocked) -> ClockMask:
    """Fields below the finest named one are zero, unnamed coarser ones as ``coarse`` says."""
    finest = max((CLOCK_FIELDS.index(name) for name in named & TIME_FIELDS), default=-1)
    masks = []
    for index, name in enumerate(CLOCK_FIELDS):
        if name in times:
            masks.append(times[name])
        elif finest >= 0 and index > finest:
            masks.append(1)
        else:
            masks.append(coarse[name])
    return ClockMask(*masks)


def grid_item(unit: str, n: int, anchor: int) -> DateItem:
    """The days or months on a grid; for an N beyond the field, only the anchor's own number."""
    low, high = RANGES[unit]
    values = [value for value in range(low, high + 1) if value % n == anchor % n] if n <= high else [anchor]
    return DateItem(days=mask_of(values)) if unit == "day" else DateItem(months=mask_of(values))


def moved(value: Value, day: MonthDay) -> Value:
    """The value with a special day in place of its weekday."""
    return Value(
        value.year, value.month, day, None, value.hour, value.minute, value.second, places=value.places
    )
