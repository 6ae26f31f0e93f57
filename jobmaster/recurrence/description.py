"""One line of English for a recurrence, with everything that the anchor supplied."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from . import phrases
from .clock import naive_of
from .compiler import Compiled
from .crontab import Crontab, CrontabReader, Field
from .daterules import ALL_MONTHS
from .intervaltext import SECOND, SIZES, UNITS
from .monthdays import MonthDay
from .parser import Parser
from .rruletext import SUB_DAILY, RruleText
from .spans import mask_of
from .syntax import Cadence, Expression, Points, Range, Value
from .words import DATE_FIELDS, TIME_FIELDS, ordinal
from .zones import zone_of

_RRULE_UNITS = {
    "YEARLY": "year",
    "MONTHLY": "month",
    "WEEKLY": "week",
    "DAILY": "day",
    "HOURLY": "hour",
    "MINUTELY": "minute",
    "SECONDLY": "second",
}
_INTERVAL_NAMES = {"w": "week", "d": "day", "h": "hour", "m": "minute", "s": "second", "ms": "millisecond"}


def cron_text(expression: str) -> str:
    """A canonical cron expression in words."""
    table = CrontabReader(expression).read()
    if table is None:
        raise ValueError(f"{expression!r} is no cron expression")
    zone = table.zone or "UTC"
    times = phrases.times(table.hour.mask, table.minute.mask, table.second.mask)
    days = _cron_days(table)
    months = phrases.months(table.month.mask) if table.month.mask != ALL_MONTHS else ""
    if table.day.special or table.day.text != "*":
        return _sentence([days, months, times], zone)
    return _sentence([times, days, months], zone)


def _cron_days(table: Crontab) -> str:
    day = _field_days(table.day, table.month.mask) if table.day.text != "*" else ""
    weekday = _field_weekdays(table.weekday) if table.weekday.text != "*" else ""
    if not day or not weekday:
        return day or weekday
    return f"{day} {'and only' if table.day.star or table.weekday.star else 'or'} {weekday}"


def _field_days(field: Field, months: int) -> str:
    texts = [phrases.days(field.mask, None if months == ALL_MONTHS else months)] if field.mask else []
    return phrases.listed(texts + [phrases.special_day(day) for day in field.special], "or")


def _field_weekdays(field: Field) -> str:
    texts = [phrases.weekdays(field.mask)] if field.mask else []
    return phrases.listed(texts + [phrases.special_day(day) for day in field.special], "or")


def natural_text(expression: str, anchor: datetime | None, compiled: Compiled | None, time_zone: str) -> str:
    """A canonical natural expression in words. Without an anchor, what it would supply is left out."""
    tree = Parser(expression).expression()
    supplied = {} if compiled is None else compiled.supplied
    origin = None if compiled is None else compiled.origin
    parts = [_cadence_text(tree), *_points_texts(tree, supplied)]
    parts.extend(
        phrases.listed([phrases.window(one) for one in window.ranges], "or") for window in tree.windows
    )
    tail = []
    if tree.exclusions:
        excepted = [
            phrases.window(item) if isinstance(item, Range) else phrases.value(item)
            for exclusion in tree.exclusions
            for item in exclusion.items
        ]
        tail.append(f"except {phrases.listed(excepted)}")
    cadence = tree.cadence
    if cadence is not None and anchor is not None:
        if cadence.unit in ("second", "minute", "hour") and cadence.anchor is None:
            filtered = " and anew in every stretch" if _filtered(tree) else ""
            tail.append(f"counted from {_stamp(anchor, time_zone)}{filtered}")
            return _sentence(parts, None, [*tail, *_bounds(tree, time_zone)])
        if origin is not None:
            tail.append(f"counted from {naive_of(origin):%Y-%m-%d}")
    return _sentence(parts, time_zone, [*tail, *_bounds(tree, None)])


def _filtered(tree: Expression) -> bool:
    return bool(tree.windows) or any(not clause.fields <= {"minute", "second"} for clause in tree.points)


def _bounds(tree: Expression, time_zone: str | None) -> list[str]:
    texts = [f"from {phrases.value(tree.start, False)}"] if tree.start is not None else []
    if tree.end is not None:
        texts.append(f"until {phrases.value(tree.end, False)}")
    if time_zone not in (None, "UTC") and (texts or tree.windows or tree.points or tree.exclusions):
        texts.append(str(time_zone))
    return texts


def _cadence_text(tree: Expression) -> str:
    cadence = tree.cadence
    if cadence is None:
        return ""
    if cadence.weekdays is not None:
        return ""
    if cadence.anchor is not None:
        return _anchored(cadence)
    named = {name for clause in tree.points for name in clause.fields}
    named |= {name for window in tree.windows for name in window.fields if cadence.unit == "day"}
    if cadence.n == 1 and cadence.unit in ("day", "week") and named & DATE_FIELDS:
        return ""
    if cadence.n == 1 and cadence.unit == "month":
        return ""
    return f"every {_units(cadence.n, cadence.unit)}"


def _anchored(cadence: Cadence) -> str:
    text = f"every {_units(cadence.n, cadence.unit)}"
    anchor = cadence.anchor or 0
    match cadence.unit:
        case "week":
            return f"{text} {phrases.weekdays(1 << anchor)}"
        case "month":
            return f"{text} counted from {phrases.months(1 << anchor).removeprefix('in ')}"
        case "day":
            return f"{text} counted from the {ordinal(anchor)}"
        case "year":
            return f"{text} counted from {anchor}"
        case _:
            return f"{text} on the clock, counted from {cadence.unit} {anchor}"


def _units(n: int, unit: str) -> str:
    return unit if n == 1 else f"{n} {unit}s"


def _points_texts(tree: Expression, supplied: dict[str, int]) -> list[str]:
    """Dates before times, the anchor's share among them; plain weekdays after the time of day."""
    points = list(tree.points)
    cadence = tree.cadence
    if cadence is not None and cadence.weekdays is not None:
        points.append(Points((Value(weekday=cadence.weekdays),)))
    under_month = cadence is not None and cadence.unit in ("month", "year")
    dates = [clause for clause in points if clause.fields & DATE_FIELDS]
    texts = [
        _clause_text(clause, under_month, tree)
        for clause in dates
        if clause.fields != {"weekday"} or under_month
    ]
    texts += _supplied_dates(supplied)
    clocks = [clause for clause in points if clause.fields <= TIME_FIELDS]
    for clause in clocks:
        times = [phrases.value(one).removeprefix("at ") for one in clause.values]
        texts.append(f"at {phrases.listed(times)}")
    if {"hour", "minute", "second"} <= set(supplied):
        time = supplied["hour"] * 3600 + supplied["minute"] * 60 + supplied["second"]
        texts.append(f"at {phrases.clock(time)}")
    else:
        texts += [f"at {name} {supplied[name]}" for name in ("hour", "minute") if name in supplied]
    if not under_month:
        texts += [_clause_text(clause, False, tree) for clause in dates if clause.fields == {"weekday"}]
    return texts


def _supplied_dates(supplied: dict[str, int]) -> list[str]:
    texts = []
    if "weekday" in supplied:
        texts.append(phrases.weekdays(1 << supplied["weekday"]))
    if "day" in supplied:
        texts.append(phrases.special_day(MonthDay("clipped", supplied["day"])))
    if "month" in supplied:
        texts.append(phrases.months(1 << supplied["month"]))
    return texts


def _clause_text(clause: Points, under_month: bool, tree: Expression) -> str:
    values = clause.values
    if clause.fields == {"weekday"}:
        mask = mask_of(())
        for one in values:
            mask |= one.weekday or 0
        if under_month and not any("day" in other.fields for other in tree.points):
            return phrases.listed(
                [phrases.special_day(MonthDay("nth", 1, day)) for day in range(7) if mask >> day & 1], "or"
            )
        return phrases.weekdays(mask)
    if clause.fields == {"month"}:
        mask = 0
        for one in values:
            mask |= one.month or 0
        return phrases.months(mask)
    if clause.fields == {"day"}:
        mask = 0
        for one in values:
            mask |= one.day_mask
        named = any("month" in other.fields for other in tree.points)
        texts = [phrases.days(mask, ALL_MONTHS if named else None)] if mask else []
        texts += [phrases.special_day(one.day) for one in values if isinstance(one.day, MonthDay)]
        return phrases.listed(texts, "or")
    return phrases.listed([phrases.value(one) for one in values], "or")


def interval_description(step: int, anchor: datetime | None) -> str:
    """An interval of microseconds in words."""
    parts = []
    rest = step
    for unit in UNITS:
        count, rest = divmod(rest, SIZES[unit])
        if count:
            parts.append(f"{count} {_INTERVAL_NAMES[unit]}" + ("s" if count > 1 else ""))
    if rest:
        parts.append(f"{rest} microsecond" + ("s" if rest > 1 else ""))
    if len(parts) == 1 and step >= SECOND and parts[0].startswith("1 "):
        parts[0] = parts[0].removeprefix("1 ")
    return _sentence([f"every {phrases.listed(parts)}"], None, _counted(anchor, "UTC"))


def rrule_description(rule: RruleText, time_zone: str, anchor: datetime | None) -> str:
    """A rule in words: frequency, parts as conditions, start and end."""
    unit = _RRULE_UNITS[rule.frequency]
    parts = [f"every {_units(rule.interval, unit)}"]
    if "BYDAY" in rule.parts:
        parts.append(_rrule_days(rule))
    if rule.values("BYMONTHDAY"):
        numbers = [_nth(number, "day of the month") for number in sorted(set(rule.values("BYMONTHDAY")))]
        parts.append(f"on the {phrases.listed(numbers, 'or')}")
    for name, what in (("BYYEARDAY", "day of the year"), ("BYWEEKNO", "week of the year")):
        if rule.values(name):
            numbers = [_nth(number, what) for number in sorted(set(rule.values(name)))]
            parts.append(f"in the {phrases.listed(numbers, 'or')}")
    if rule.values("BYMONTH"):
        parts.append(phrases.months(mask_of(rule.values("BYMONTH"))))
    local = None if anchor is None else anchor.astimezone(zone_of(time_zone))
    if rule.frequency not in SUB_DAILY and local is not None:
        hours = mask_of(rule.values("BYHOUR")) or 1 << local.hour
        minutes = mask_of(rule.values("BYMINUTE")) or 1 << local.minute
        parts.append(phrases.times(hours, minutes, mask_of(rule.values("BYSECOND")) or 1 << local.second))
    if rule.values("BYSETPOS"):
        numbers = [_nth(number, "of these") for number in sorted(set(rule.values("BYSETPOS")))]
        parts.append(f"only the {phrases.listed(numbers)} in each {unit}")
    tail = [f"from {local:%Y-%m-%d %H:%M:%S}"] if local is not None else []
    if rule.times is not None:
        tail.append(f"{rule.times} time" + ("s" if rule.times > 1 else ""))
    if rule.until is not None:
        tail.append(
            f"until {rule.until:%Y-%m-%d}" + ("" if rule.until_is_date else f" {rule.until:%H:%M:%S} UTC")
        )
    if rule.excluded:
        stamps = [f"{stamp.naive:%Y-%m-%d %H:%M:%S}" for stamp in sorted(set(rule.excluded), key=str)]
        tail.append(f"except {phrases.listed(stamps)}")
    if rule.week_start != 1:
        tail.append(f"weeks beginning {phrases.weekdays(1 << rule.week_start)}")
    return _sentence(parts, time_zone, tail)


def _rrule_days(rule: RruleText) -> str:
    days = rule.parts["BYDAY"].days
    plain = mask_of(day for number, day in days if not number)
    texts = [phrases.weekdays(plain)] if plain else []
    in_year = rule.frequency == "YEARLY" and "BYMONTH" not in rule.parts
    for number, day in sorted(set(days)):
        if number:
            name = phrases.weekdays(1 << day).removeprefix("on ")
            texts.append(f"on the {_nth(number, name)} of the {'year' if in_year else 'month'}")
    return phrases.listed(texts, "or")


def _nth(number: int, what: str) -> str:
    if number == -1:
        return f"last {what}"
    return f"{ordinal(number)} {what}" if number > 0 else f"{ordinal(-number)} last {what}"


def _counted(anchor: datetime | None, time_zone: str) -> list[str]:
    return [] if anchor is None else [f"counted from {_stamp(anchor, time_zone)}"]


def _stamp(anchor: datetime, time_zone: str) -> str:
    local = anchor.astimezone(zone_of(time_zone))
    micros = f".{local.microsecond:06}" if local.microsecond else ""
    return f"{local:%Y-%m-%d %H:%M:%S}{micros} {time_zone if time_zone != 'UTC' else 'UTC'}"


def _sentence(parts: Iterable[str], zone: str | None, tail: Iterable[str] = ()) -> str:
    text = " ".join(part for part in parts if part)
    return ", ".join([text[:1].upper() + text[1:], *tail, *([zone] if zone else [])])
