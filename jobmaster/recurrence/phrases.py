"""English for the pieces of a recurrence: days, months, times of day, ranges."""

from __future__ import annotations

from collections.abc import Sequence

from .monthdays import WEEKEND, WORKDAYS, MonthDay
from .spans import ALL_24, ALL_60, bits
from .syntax import Range, Value
from .words import FIELDS, MONTH_NAMES, ORDINAL_WORDS, WEEKDAY_NAMES, ordinal

_SHORTEST_MONTH = 28
_FEBRUARY, _LEAP_DAY = 1 << 2, 1 << 29
_MOST_TIMES = 6
_WEEKDAY_TITLES = tuple(name.capitalize() for name in WEEKDAY_NAMES)
_MONTH_TITLES = ("", *(name.capitalize() for name in MONTH_NAMES))


def listed(texts: Sequence[str], last: str = "and") -> str:
    """``a, b and c``."""
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} {last} {texts[-1]}"


def weekdays(mask: int) -> str:
    """``on Monday and Friday``, ``from Monday to Friday``."""
    if mask == WORKDAYS:
        return "from Monday to Friday"
    if mask == WEEKEND:
        return "on Saturday and Sunday"
    return _named(mask, _WEEKDAY_TITLES, 0, 6, "on")


def months(mask: int) -> str:
    """``in June``, ``from November to February``."""
    return _named(mask, _MONTH_TITLES, 1, 12, "in")


def _named(mask: int, names: Sequence[str], low: int, high: int, word: str) -> str:
    numbers = bits(mask)
    gaps = [n for n in numbers if (n - 1 if n > low else high) not in numbers]
    if len(numbers) > 2 and len(gaps) == 1:
        first = gaps[0]
        last = first - 1 + len(numbers)
        return f"from {names[first]} to {names[last if last <= high else last - high - 1 + low]}"
    return f"{word} {listed([names[number] for number in numbers])}"


def days(mask: int, month_mask: int | None = None) -> str:
    """``on the 1st and 15th of the month``, with what happens in months that lack a day."""
    numbers = bits(mask)
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        text = f"from the {ordinal(numbers[0])} to the {ordinal(numbers[-1])}"
    else:
        text = f"on the {listed([ordinal(number) for number in numbers])}"
    text += " of the month"
    if len(numbers) == 1 and numbers[0] > _SHORTEST_MONTH and month_mask is None:
        text += " (months without one are skipped)"
    return text


def special_day(day: MonthDay) -> str:
    """``on the last day of the month``, ``on the second Monday of the month``."""
    match day.kind:
        case "last":
            text = "on the last day of the month"
        case "before_last":
            text = f"{_count(day.number, 'day')} before the last day of the month"
        case "first":
            text = "on the first day of the month"
        case "clipped":
            text = f"on the {ordinal(day.number)} of the month"
            if day.number > _SHORTEST_MONTH:
                text += " (the last day of shorter months)"
        case "first_workday" | "last_workday":
            text = f"on the {day.kind.partition('_')[0]} Monday-to-Friday day of the month"
        case "nearest":
            text = f"on the Monday-to-Friday day nearest to the {ordinal(day.number)} of the month"
        case "closest":
            text = f"on the Monday-to-Friday day nearest to the {ordinal(day.number)} or the end of the month"
        case "nth":
            rank = "last" if day.number < 0 else ORDINAL_WORDS[day.number - 1]
            text = f"on the {rank} {_WEEKDAY_TITLES[day.weekday]} of the month"
            if day.number == 5:
                text += " (months without one are skipped)"
    if day.offset:
        side = "after" if day.offset > 0 else "before"
        text = f"{_count(abs(day.offset), 'day')} {side} {text.removeprefix('on ')}"
    return text


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" + ("s" if number != 1 else "")


def clock(second_of_day: int) -> str:
    """``09:00``, with seconds if they are not zero."""
    hour, rest = divmod(second_of_day, 3600)
    text = f"{hour:02}:{rest // 60:02}"
    return f"{text}:{rest % 60:02}" if rest % 60 else text


def times(hours: int, minutes: int, seconds: int) -> str:
    """The times of day of three masks: ``at 09:00 and 18:00``, ``every 5 minutes of the hours 9 to 17``."""
    count = hours.bit_count() * minutes.bit_count() * seconds.bit_count()
    if count <= _MOST_TIMES:
        every = [h * 3600 + m * 60 + s for h in bits(hours) for m in bits(minutes) for s in bits(seconds)]
        return f"at {listed([clock(second) for second in every])}"
    parts = []
    if seconds != 1:
        parts.append(_part(seconds, "second", 60))
    if not (minutes == ALL_60 and parts and seconds != ALL_60) or hours != ALL_24:
        if not (minutes == ALL_60 and seconds == ALL_60):
            parts.append(_part(minutes, "minute", 60))
    if hours != ALL_24:
        parts.append(_part(hours, "hour", 24))
    elif minutes != ALL_60 and _regular(minutes, 60) is None:
        parts.append("every hour")
    elif seconds not in (1, ALL_60) and minutes == ALL_60:
        parts.append("every minute")
    return " of ".join(parts)


def _part(mask: int, name: str, size: int) -> str:
    if mask == (1 << size) - 1:
        return f"every {name}"
    step = _regular(mask, size)
    if step is not None:
        return f"every {step} {name}s"
    numbers = bits(mask)
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"the {name}s {numbers[0]} to {numbers[-1]}"
    word = "the" if name == "hour" else "at"
    return f"{word} {name}{'s' if len(numbers) > 1 else ''} {listed([str(n) for n in numbers])}"


def _regular(mask: int, size: int) -> int | None:
    """The step of a field that begins at zero and divides it evenly."""
    numbers = bits(mask)
    if len(numbers) < 2 or numbers[0] != 0:
        return None
    step = numbers[1]
    return step if size % step == 0 and numbers == list(range(0, size, step)) else None


def value(one: Value, preposition: bool = True) -> str:
    """A value in words: ``on 25 December``, ``on Monday at 10:00``."""
    parts = []
    if one.weekday is not None:
        parts.append(weekdays(one.weekday))
    day = bits(one.day_mask)[0] if one.day_mask.bit_count() == 1 else None
    if day is not None and one.month is not None and one.month.bit_count() == 1:
        text = f"on {day} {_MONTH_TITLES[bits(one.month)[0]]}" + ("" if one.year is None else f" {one.year}")
        if one.year is None and one.month == _FEBRUARY and one.day == _LEAP_DAY:
            text += " (in leap years)"
        parts.append(text)
    else:
        if isinstance(one.day, MonthDay):
            parts.append(special_day(one.day))
        elif one.day is not None:
            parts.append(days(one.day, one.month))
        if one.month is not None:
            text = months(one.month)
            parts.append(text if one.year is None else f"{text} {one.year}")
        elif one.year is not None:
            parts.append(f"in {one.year}")
    if one.hour is not None and one.minute is not None:
        parts.append(f"at {clock(one.hour * 3600 + one.minute * 60 + (one.second or 0))}")
    else:
        named = [
            f"{name} {getattr(one, name)}"
            for name in ("hour", "minute", "second")
            if getattr(one, name) is not None
        ]
        if named:
            parts.append(f"at {' '.join(named)}")
    text = " ".join(parts)
    return text if preposition else text.removeprefix("on ").removeprefix("at ").removeprefix("in ")


def window(one: Range) -> str:
    """A range in words, both ends included: ``from Monday to Friday``, ``between 09:00 and 17:00``."""
    if one.fields <= {"weekday"} or one.fields <= {"month"}:
        low = one.low if one.low is not None else _first(one.some)
        high = one.high if one.high is not None else _last(one.some)
        return f"from {value(low, False)} to {value(high, False)}"
    if one.low is None or one.high is None:
        return f"{'up to' if one.low is None else 'from'} {value(one.some, False)}"
    return f"between {value(one.low, False)} and {value(one.high, False)}"


def _first(like: Value) -> Value:
    return Value(weekday=1) if like.weekday is not None else Value(month=1 << 1)


def _last(like: Value) -> Value:
    return Value(weekday=1 << 6) if like.weekday is not None else Value(month=1 << 12)


def coarsest(one: Value) -> int:
    """The place of a value's coarsest field, by which clauses are put in order."""
    return min(FIELDS.index(name) for name in one.fields)
