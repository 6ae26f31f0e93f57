"""The canonical text of a syntax tree: reading it again gives an equal tree.

Lists of one field are sorted and without repeats, runs of at least three are ranges, clauses come in the
order cadence, points, windows, exceptions, bounds, zone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .monthdays import WEEKEND, WORKDAYS, MonthDay
from .spans import bits
from .syntax import Cadence, Exclusion, Expression, Points, Range, Value, Window
from .words import DATE_FIELDS, FIELDS, ORDINAL_WORDS, SHORT_MONTHS, SHORT_WEEKDAYS, TIME_FIELDS, ordinal

_SINGLE = frozenset(("weekday", "month", "day"))


def canonical(tree: Expression) -> str:
    """The canonical text of an expression."""
    parts = []
    if tree.cadence is not None:
        parts.append(cadence_text(tree.cadence))
    points = sorted(tree.points, key=lambda clause: min(FIELDS.index(name) for name in clause.fields))
    parts.extend(points_text(clause) for clause in points)
    parts.extend(sorted({window_text(window) for window in tree.windows}))
    parts.extend(sorted({exclusion_text(one) for one in tree.exclusions}))
    if tree.start is not None:
        parts.append(f"starting {value_text(tree.start)}")
    if tree.end is not None:
        parts.append(f"until {value_text(tree.end)}")
    if tree.zone is not None:
        parts.append(f"tz {tree.zone}")
    return " ".join(parts)


def cadence_text(cadence: Cadence) -> str:
    if cadence.weekdays is not None and cadence.unit == "day":
        return "every weekday" if cadence.weekdays == WORKDAYS else "every weekend"
    if cadence.weekdays is not None:
        return "every " + ", ".join(runs(cadence.weekdays, SHORT_WEEKDAYS, 7))
    text = f"every {cadence.n} {cadence.unit}" + ("s" if cadence.n > 1 else "")
    if cadence.anchor is None:
        return text
    names: Sequence[str] = ()
    if cadence.unit == "week":
        names = SHORT_WEEKDAYS
    elif cadence.unit == "month":
        names = ("", *SHORT_MONTHS)
    return f"{text} AnchoredOn {names[cadence.anchor] if names else cadence.anchor}"


def points_text(clause: Points) -> str:
    word = "on"
    if clause.fields <= TIME_FIELDS:
        word = "at"
    elif clause.fields <= {"month", "year"}:
        word = "in"
    return f"{word} {_listed(items_of(clause.values))}"


def items_of(values: Iterable[Value]) -> list[str]:
    """The texts of some values of the same fields: sorted, without repeats, ranges drawn together."""
    values = list(values)
    fields = values[0].fields
    if len(fields) == 1 and fields <= _SINGLE:
        return _merged(next(iter(fields)), values)
    return [value_text(value) for value in sorted(set(values), key=order)]


def _merged(name: str, values: Sequence[Value]) -> list[str]:
    mask = 0
    special = set()
    for value in values:
        part = getattr(value, name)
        if isinstance(part, MonthDay):
            special.add(part)
        else:
            mask |= part
    if name == "weekday":
        return runs(mask, SHORT_WEEKDAYS, 7)
    if name == "month":
        return runs(mask, ("", *SHORT_MONTHS), 12)
    days = runs(mask, tuple(ordinal(day) for day in range(32)), 31)
    return days + [special_text(day) for day in sorted(special)]


def order(value: Value) -> tuple[tuple[int, ...], ...]:
    """A key that sorts values of the same fields by time."""
    keys: list[tuple[int, ...]] = []
    for name in FIELDS:
        part = getattr(value, name)
        if isinstance(part, MonthDay):
            keys.append((100, *(hash_free(part))))
        else:
            keys.append((-1,) if part is None else (part,))
    return tuple(keys)


def hash_free(day: MonthDay) -> tuple[int, ...]:
    return (sum(map(ord, day.kind)), day.number, day.weekday, day.offset)


def window_text(window: Window) -> str:
    (first, *others) = window.ranges
    if not others and first.high is None:
        return f"from {value_text(first.some)}"
    if not others and first.low is None:
        return f"upto {value_text(first.some)}"
    return f"between {_listed(sorted({range_text(one) for one in window.ranges}))}"


def range_text(one: Range) -> str:
    if one.low is None or one.high is None:
        raise ValueError("only a range with two ends stands after between")
    return f"{value_text(one.low)} and {value_text(one.high)}"


def exclusion_text(exclusion: Exclusion) -> str:
    ranges = sorted({range_text(item) for item in exclusion.items if isinstance(item, Range)})
    if ranges:
        return f"except between {_listed(ranges)}"
    groups: dict[frozenset[str], list[Value]] = {}
    for item in exclusion.items:
        if isinstance(item, Value):
            groups.setdefault(item.fields, []).append(item)
    texts = sorted(text for values in groups.values() for text in items_of(values))
    return f"except {_listed(texts)}"


def value_text(value: Value) -> str:
    """A value in the shortest spelling that names exactly its fields."""
    parts = []
    if value.fields & DATE_FIELDS:
        parts.append(_date_text(value))
    if value.fields & TIME_FIELDS:
        parts.append(_time_text(value))
    return " ".join(parts)


def _date_text(value: Value) -> str:
    months = [] if value.month is None else runs(value.month, ("", *SHORT_MONTHS), 12)
    single = value.month is not None and value.month.bit_count() == 1
    parts = []
    if value.weekday is not None:
        parts.append("weekdays" if value.weekday == WORKDAYS else _weekday_text(value.weekday))
    if isinstance(value.day, MonthDay) or (value.day is not None and value.day.bit_count() > 1):
        parts.append(days_text(value.day))
        parts.extend(months)
        if value.year is not None:
            parts.append(f"year {value.year}")
        return " ".join(_of_months(parts, value))
    day = None if value.day is None else bits(value.day)[0]
    if value.year is not None and single:
        month = bits(value.month or 0)[0]
        parts.append(f"{value.year}-{month:02}" + ("" if day is None else f"-{day:02}"))
    elif single and day is not None:
        parts.append(f"{months[0]}-{day:02}")
    else:
        parts.extend(months)
        if day is not None:
            parts.append(f"day {day}" if months or value.year is not None else ordinal(day))
        if value.year is not None:
            parts.append(f"year {value.year}")
    return " ".join(parts)


def _of_months(parts: list[str], value: Value) -> list[str]:
    """A range of days before a month: the month goes first, where it cannot be read as another day."""
    if value.month is None:
        return parts
    months = runs(value.month, ("", *SHORT_MONTHS), 12)
    rest = [part for part in parts if part not in months]
    weekday = rest[:1] if value.weekday is not None else []
    return [*weekday, *months, *rest[len(weekday) :]]


def _weekday_text(mask: int) -> str:
    return "weekends" if mask == WEEKEND else runs(mask, SHORT_WEEKDAYS, 7, 2)[0]


def _time_text(value: Value) -> str:
    if value.hour is not None and value.minute is not None:
        second = "" if value.second is None else f":{value.second:02}"
        return f"{value.hour:02}:{value.minute:02}{second}"
    named = (("hour", value.hour), ("minute", value.minute), ("second", value.second))
    return " ".join(f"{name} {number}" for name, number in named if number is not None)


def days_text(day: int | MonthDay) -> str:
    if isinstance(day, MonthDay):
        return special_text(day)
    return runs(day, tuple(ordinal(number) for number in range(32)), 31, 2)[0]


def special_text(day: MonthDay) -> str:
    offset = f" {'+' if day.offset > 0 else '-'} {abs(day.offset)}" if day.offset else ""
    match day.kind:
        case "nth":
            rank = "Last" if day.number < 0 else ORDINAL_WORDS[day.number - 1].capitalize()
            return f"{rank}{SHORT_WEEKDAYS[day.weekday].capitalize()}{offset}"
        case "closest":
            return f"ClosestWeekdayTo {day.number}"
        case "first_workday":
            return f"FirstWeekday{offset}"
        case "last_workday":
            return f"LastWeekday{offset}"
        case _:
            return f"{'FirstDay' if day.kind == 'first' else 'LastDay'}{offset}"


def runs(mask: int, names: Sequence[str], top: int, shortest: int = 3) -> list[str]:
    """The names of the bits of a mask; ``shortest`` or more in a row, round the end too, as a range."""
    numbers = bits(mask)
    low = 0 if top == 7 else 1
    every = list(range(low, low + top))
    if numbers == every:
        return [f"{names[low]}-{names[every[-1]]}"]
    groups: list[list[int]] = []
    for number in numbers:
        if groups and groups[-1][-1] == number - 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    if len(groups) > 1 and groups[0][0] == low and groups[-1][-1] == every[-1]:
        last = groups.pop()
        if len(last) + len(groups[0]) >= shortest:
            groups.append(last + groups.pop(0))
        else:
            groups.append(last)
    found = []
    for group in groups:
        if len(group) >= shortest:
            found.append(f"{names[group[0]]}-{names[group[-1]]}")
        else:
            found.extend(names[number] for number in group)
    return found


def _listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
