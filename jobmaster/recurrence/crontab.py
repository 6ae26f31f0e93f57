"""Cron expressions: five fields, or six with seconds first, a macro, and a zone in front.

The extensions ``L``, ``W`` and ``#`` follow the customs of Quartz; the rule for a day field beside a weekday
field is that of the cron by Paul Vixie: either matches, unless one of them begins with a star.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import NamedTuple

from ..errors import Problem
from .daterules import DateItem
from .monthdays import MonthDay
from .words import SHORT_MONTHS, SHORT_WEEKDAYS, nearest
from .zones import nearest_zone, official_name

MACROS = MappingProxyType(
    {
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
        "@monthly": "0 0 1 * *",
        "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@hourly": "0 * * * *",
    }
)
_PREFIX = re.compile(r"[ \t]*(?:CRON_)?TZ=([^ \t]*)", re.IGNORECASE)
_FIELD = re.compile(r"[^ \t]+")
_FURTHEST_FROM_END = 30
_MOST_WEEKS = 5


class Ground(NamedTuple):
    """What one field of an expression can hold."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    first_name: int = 0


_SECOND = Ground("second", 0, 59)
_FIVE = (
    Ground("minute", 0, 59),
    Ground("hour", 0, 23),
    Ground("day", 1, 31),
    Ground("month", 1, 12, SHORT_MONTHS, 1),
    Ground("weekday", 0, 7, SHORT_WEEKDAYS, 0),
)


class Field(NamedTuple):
    """One field: ``loose`` when it has a star, a range or a step, ``star`` when it begins with a star."""

    mask: int
    special: tuple[MonthDay, ...]
    loose: bool
    star: bool
    text: str
    start: int
    end: int


class Crontab(NamedTuple):
    """A cron expression as read: the fields from seconds to weekday, and the zone it names."""

    second: Field
    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field
    zone: str | None
    zone_at: tuple[int, int]

    @property
    def text(self) -> str:
        """The five or six fields in canonical spelling."""
        fields = [field.text for field in self[:6]]
        return " ".join(fields[1:] if self.second.text == "0" else fields)

    @property
    def date_terms(self) -> tuple[tuple[DateItem, ...], ...]:
        """The day, weekday and month fields as terms of a date rule."""
        months = self.month.mask
        days = tuple(DateItem(months=months, days=one) for one in self.day.special)
        if self.day.mask:
            days = (DateItem(months=months, days=self.day.mask), *days)
        weekdays = tuple(DateItem(months=months, days=one) for one in self.weekday.special)
        if self.weekday.mask:
            weekdays = (DateItem(months=months, weekdays=self.weekday.mask), *weekdays)
        if self.day.star or self.weekday.star:
            return (days, weekdays)
        return ((*days, *weekdays),)


class CrontabReader:
    """Reads a cron expression; ``problems`` says why if it could not."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.problems: list[Problem] = []

    def read(self) -> Crontab | None:
        start, zone, zone_at = 0, None, (0, 0)
        prefix = _PREFIX.match(self.text)
        if prefix is not None:
            start, zone_at = prefix.end(), prefix.span(1)
            zone = official_name(prefix[1])
            if zone is None:
                self._note(
                    "unknown_zone", f'unknown time zone "{prefix[1]}"', zone_at, (), nearest_zone(prefix[1])
                )
        pieces = [(match.start(), match.end()) for match in _FIELD.finditer(self.text, start)]
        if not pieces:
            self._note(
                "missing", "a cron expression is expected", (len(self.text), len(self.text)), ("minute",)
            )
            return None
        if self.text[pieces[0][0]] == "@":
            return self._macro(pieces, zone, zone_at)
        if len(pieces) < len(_FIVE):
            missing = _FIVE[len(pieces)].name
            place = (len(self.text), len(self.text))
            self._note(
                "missing", f"five or six fields are expected, the {missing} is missing", place, (missing,)
            )
            return None
        if len(pieces) > len(_FIVE) + 1:
            message = "five or six fields are expected; there is no field for years"
            self._note("extra", message, (pieces[6][0], pieces[6][1]))
            return None
        grounds = _FIVE if len(pieces) == len(_FIVE) else (_SECOND, *_FIVE)
        fields = [self._field(ground, *piece) for ground, piece in zip(grounds, pieces, strict=True)]
        if self.problems:
            return None
        if len(fields) == len(_FIVE):
            fields.insert(0, Field(1, (), False, False, "0", 0, 0))
        second, minute, hour, day, month, weekday = fields
        return Crontab(second, minute, hour, day, month, weekday, zone, zone_at)

    def _macro(
        self, pieces: list[tuple[int, int]], zone: str | None, zone_at: tuple[int, int]
    ) -> Crontab | None:
        start, end = pieces[0]
        name = self.text[start:end].lower()
        if name not in MACROS:
            hint = nearest(name, MACROS)
            if name == "@every":
                hint = (
                    f"interval {self.text[pieces[1][0] : pieces[-1][1]]!r}"
                    if len(pieces) > 1
                    else "an interval"
                )
            elif hint is not None:
                hint = f'"{hint}"'
            self._note("macro", f'"{name}" is not a cron macro', (start, end), tuple(MACROS), hint)
            return None
        if len(pieces) > 1:
            self._note("extra", "nothing may follow a macro", pieces[1])
            return None
        if self.problems:
            return None
        plain = CrontabReader(MACROS[name]).read()
        if plain is None:
            raise AssertionError(f"the macro {name} stands for what cannot be read")
        return plain._replace(zone=zone, zone_at=zone_at)

    def _note(
        self,
        code: str,
        message: str,
        place: tuple[int, int],
        expected: tuple[str, ...] = (),
        suggestion: str | None = None,
    ) -> None:
        self.problems.append(Problem(code, message, place[0], place[1], expected, suggestion))

    def _field(self, ground: Ground, start: int, end: int) -> Field:
        reader = _FieldReader(self, ground, start, end)
        at = start
        for item in self.text[start:end].split(","):
            reader.item(item, at)
            at += len(item) + 1
        text = self.text[start:end]
        return Field(
            reader.mask, tuple(reader.special), reader.loose, text[0] in "*?", reader.text, start, end
        )


class _FieldReader:
    def __init__(self, owner: CrontabReader, ground: Ground, start: int, end: int) -> None:
        self.owner = owner
        self.ground = ground
        self.place = (start, end)
        self.range = f"{ground.low}-{ground.high}"
        self.mask = 0
        self.special: list[MonthDay] = []
        self.loose = False
        self._canonical: dict[str, tuple[int, str]] = {}

    @property
    def text(self) -> str:
        """The items in order, without repeats; a star first, since its place has a meaning."""
        return ",".join(text for text, _ in sorted(self._canonical.items(), key=lambda pair: pair[1]))

    def item(self, item: str, at: int) -> None:
        """Read one item of the list."""
        if not item:
            self._note("missing", f"a {self.ground.name} is expected", at, at, (self.range,))
        elif (self.ground.name == "day" and self._day_special(item.upper(), at)) or (
            self.ground.name == "weekday" and self._weekday_special(item.upper(), at)
        ):
            return
        else:
            self._plain(item, at)

    def _note(
        self,
        code: str,
        message: str,
        start: int,
        end: int,
        expected: tuple[str, ...] = (),
        hint: str | None = None,
    ) -> None:
        self.owner._note(code, message, (start, end), expected, hint)

    def _keep(self, text: str, order: int) -> None:
        self._canonical[text] = (order, text)

    def _plain(self, item: str, at: int) -> None:
        ground = self.ground
        body, slash, step_text = item.partition("/")
        step_at = at + len(body) + 1
        first, dash, last = body.partition("-")
        low: int | None
        high: int | None
        if body == "*" or (body == "?" and not slash and ground.name in ("day", "weekday")):
            if body == "?" and item != self.owner.text[slice(*self.place)]:
                self._note("question_mark", '"?" stands alone in its field', at, at + 1)
                return
            low, high = ground.low, min(ground.high, 6) if ground.name == "weekday" else ground.high
            canonical = "*"
            order = -1 if self.owner.text[self.place[0]] in "*?" else 1000
        else:
            low = self._value(first, at)
            high = low
            if dash:
                high = self._value(last, at + len(first) + 1)
            if low is None or high is None:
                return
            if slash and not dash:
                high = 6 if ground.name == "weekday" else ground.high
            order = self._number(low)
            canonical = f"{self._number(low)}"
            if dash:
                canonical += f"-{high if high == 7 and low != 7 else self._number(high)}"
        step = self._step(step_text, step_at) if slash else 1
        if step is None:
            return
        self.loose |= canonical == "*" or bool(dash or slash)
        values = self._values(low, high)
        for value in values[::step]:
            self.mask |= 1 << self._number(value)
        self._keep(canonical + (f"/{step}" if slash else ""), order)

    def _number(self, value: int) -> int:
        return value % 7 if self.ground.name == "weekday" else value

    def _values(self, low: int, high: int) -> list[int]:
        """From ``low`` to ``high``, round the end of the field if need be."""
        if low <= high:
            return list(range(low, high + 1))
        if self.ground.name == "weekday":
            return list(range(low, high + 8)) if low == 7 else [*range(low, 7), *range(high + 1)]
        return [*range(low, self.ground.high + 1), *range(self.ground.low, high + 1)]

    def _step(self, text: str, at: int) -> int | None:
        count = {"weekday": 7}.get(self.ground.name, self.ground.high - self.ground.low + 1)
        if "/" in text:
            self._note("step", "an item has one step", at, at + len(text))
            return None
        if not (text.isascii() and text.isdigit()):
            self._note("step", "a step is a number", at, at + len(text), (f"1-{count}",))
            return None
        step = int(text)
        if not 1 <= step <= count:
            hint = None
            if step and self.ground.name in ("second", "minute", "hour"):
                hint = f'the interval "{step}{self.ground.name[0]}"'
            self._note("step", f"the step is 1 to {count}", at, at + len(text), (f"1-{count}",), hint)
            return None
        return step

    def _value(self, text: str, at: int) -> int | None:
        ground = self.ground
        end = at + len(text)
        if text.isascii() and text.isdigit():
            value = int(text)
            if not ground.low <= value <= ground.high:
                self._note("range", f"the {ground.name} is {self.range}", at, end, (self.range,))
                return None
            return value
        if text.lower() in ground.names:
            return ground.names.index(text.lower()) + ground.first_name
        if "-" in text:
            self._note("range", "a range has two ends", at, end, (self.range,))
        elif not text:
            self._note("missing", f"a {ground.name} is expected", at, end, (self.range,))
        else:
            found = nearest(text, ground.names) if text.isalpha() else None
            hint = None if found is None else f'"{found.upper()}"'
            self._note("unreadable", f'"{text}" is not a {ground.name}', at, end, (self.range,), hint)
        return None

    def _day_special(self, item: str, at: int) -> bool:
        """``L``, ``L-n``, ``LW`` and ``nW``."""
        end = at + len(item)
        if item == "L":
            self.special.append(MonthDay("last"))
            self._keep("L", 100)
        elif item == "LW":
            self.special.append(MonthDay("last_workday"))
            self._keep("LW", 200)
        elif item.startswith("L-"):
            number = item[2:]
            if not (number.isascii() and number.isdigit()) or not 1 <= int(number) <= _FURTHEST_FROM_END:
                self._note("range", "the days before the last are 1 to 30", at + 2, end, ("1-30",))
            else:
                self.special.append(MonthDay("before_last", int(number)))
                self._keep(f"L-{int(number)}", 100 + int(number))
        elif item.endswith("W") and (item[:-1].isdigit() or item == "W") and item.isascii():
            day = self._value(item[:-1], at)
            if day is not None:
                self.special.append(MonthDay("nearest", day))
                self._keep(f"{day}W", 300 + day)
        else:
            return False
        return True

    def _weekday_special(self, item: str, at: int) -> bool:
        """``d#n`` and ``dL``."""
        end = at + len(item)
        name, sign, number = item.partition("#")
        if sign:
            weekday = self._value(name, at)
            if not (number.isascii() and number.isdigit()) or not 1 <= int(number) <= _MOST_WEEKS:
                self._note("range", "the week of the month is 1 to 5", at + len(name) + 1, end, ("1-5",))
            elif weekday is not None:
                self.special.append(MonthDay("nth", int(number), weekday % 7))
                self._keep(f"{weekday % 7}#{int(number)}", 100 + weekday % 7)
            return True
        if item == "L":
            self._note("range", "L alone is for the day field", at, end, (self.range,), '"0L" to "6L"')
            return True
        if item.endswith("L"):
            if "-" in item or "/" in item:
                self._note("range", "L takes one weekday", at, end, (self.range,))
                return True
            weekday = self._value(item[:-1], at)
            if weekday is not None:
                self.special.append(MonthDay("nth", -1, weekday % 7))
                self._keep(f"{weekday % 7}L", 200 + weekday % 7)
            return True
        return False
