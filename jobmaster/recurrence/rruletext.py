"""RRULE texts after RFC 5545: a bare rule, or lines DTSTART, RRULE and EXDATE."""

from __future__ import annotations

import re
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple, NoReturn

from ..errors import Problem
from .clock import FIRST_START, LAST_START
from .words import nearest
from .zones import nearest_zone, official_name

FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
SUB_DAILY = ("HOURLY", "MINUTELY", "SECONDLY")
WEEKDAYS = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")
MOST_INTERVAL = 100_000
MOST_COUNT = 10_000
_BY_NUMBERS = MappingProxyType(
    {
        "BYSECOND": (0, 59, False),
        "BYMINUTE": (0, 59, False),
        "BYHOUR": (0, 23, False),
        "BYMONTHDAY": (1, 31, True),
        "BYYEARDAY": (1, 366, True),
        "BYWEEKNO": (1, 53, True),
        "BYMONTH": (1, 12, False),
        "BYSETPOS": (1, 366, True),
    }
)
PARTS = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", *_BY_NUMBERS)
ORDER = (
    "FREQ",
    "INTERVAL",
    "COUNT",
    "UNTIL",
    "BYMONTH",
    "BYWEEKNO",
    "BYYEARDAY",
    "BYMONTHDAY",
    "BYDAY",
    "BYHOUR",
    "BYMINUTE",
    "BYSECOND",
    "BYSETPOS",
    "WKST",
)
LINES = ("DTSTART", "RRULE", "EXDATE")
_PIECE = re.compile(r"[^ \t\r\n]+")
_STAMP = re.compile(r"([0-9]{8})T([0-9]{6})(Z?)", re.ASCII)
_DATE = re.compile(r"[0-9]{8}", re.ASCII)
_DAY = re.compile(r"([+-]?[0-9]{1,2})?(SU|MO|TU|WE|TH|FR|SA)", re.ASCII)
_MOST_ORDINAL = MappingProxyType({"MONTHLY": 5, "YEARLY": 53})


class Stamp(NamedTuple):
    """A date with a time as written: ``zone`` is an official name, ``UTC`` after a Z, ``None`` for local."""

    naive: datetime
    zone: str | None


class Part(NamedTuple):
    """The values of one part of a rule, each with its place."""

    name: str
    place: tuple[int, int]
    values: tuple[int, ...] = ()
    days: tuple[tuple[int, int], ...] = ()  # ordinal (0 for none) and weekday, Sunday = 0
    places: tuple[tuple[int, int], ...] = ()


class RruleText(NamedTuple):
    """A rule as read. ``until`` is a stamp in UTC, or a naive date that counts through its end."""

    frequency: str
    interval: int
    times: int | None
    until: datetime | None
    until_is_date: bool
    week_start: int
    parts: dict[str, Part]
    start: Stamp | None
    zone_at: tuple[int, int]
    excluded: tuple[Stamp, ...]

    def values(self, name: str) -> tuple[int, ...]:
        return self.parts[name].values if name in self.parts else ()

    @property
    def text(self) -> str:
        """The rule in canonical order, with the lines beside it if there are any."""
        pieces = [f"FREQ={self.frequency}"]
        if self.interval != 1:
            pieces.append(f"INTERVAL={self.interval}")
        if self.times is not None:
            pieces.append(f"COUNT={self.times}")
        if self.until is not None:
            pieces.append(
                f"UNTIL={self.until:%Y%m%d}" + ("" if self.until_is_date else f"{self.until:T%H%M%SZ}")
            )
        for name in ORDER:
            if name in self.parts:
                part = self.parts[name]
                texts = [f"{ordinal or ''}{WEEKDAYS[day]}" for ordinal, day in sorted(set(part.days))]
                pieces.append(f"{name}={','.join(texts or map(str, sorted(set(part.values))))}")
        if self.week_start != 1:
            pieces.append(f"WKST={WEEKDAYS[self.week_start]}")
        rule = ";".join(pieces)
        if self.start is None and not self.excluded:
            return rule
        lines = [] if self.start is None else [_stamped("DTSTART", self.start)]
        lines.append(f"RRULE:{rule}")
        lines.extend(_stamped("EXDATE", stamp) for stamp in sorted(set(self.excluded), key=str))
        return " ".join(lines)


def _stamped(name: str, stamp: Stamp) -> str:
    zone = f";TZID={stamp.zone}" if stamp.zone not in (None, "UTC") else ""
    return f"{name}{zone}:{stamp.naive:%Y%m%dT%H%M%S}{'Z' if stamp.zone == 'UTC' else ''}"


class _Unreadable(Exception):
    """The rest of a line cannot be read; its problem is on the list."""


class RruleReader:
    """Reads a text; ``problems`` is empty afterwards if it could be read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.problems: list[Problem] = []
        self._parts: dict[str, Part] = {}
        self._raw: dict[str, tuple[str, int]] = {}
        self._start: Stamp | None = None
        self._zone_at = (0, 0)
        self._excluded: list[Stamp] = []
        self._rule_seen = False
        self._names: dict[str, tuple[int, int]] = {}

    def read(self) -> RruleText | None:
        end = 0
        for match in _PIECE.finditer(self.text):
            end = match.end()
            try:
                self._line(match.group(), match.start())
            except _Unreadable:
                continue
        if "FREQ" not in self._raw and not self.problems:
            self._note("missing", "FREQ is expected", (len(self.text), len(self.text)), ("FREQ=",))
        if self.problems:
            return None
        return self._checked(end)

    def _note(
        self,
        code: str,
        message: str,
        place: tuple[int, int],
        expected: tuple[str, ...] = (),
        suggestion: str | None = None,
    ) -> None:
        self.problems.append(Problem(code, message, place[0], place[1], expected, suggestion))

    def _fail(
        self,
        code: str,
        message: str,
        place: tuple[int, int],
        expected: tuple[str, ...] = (),
        suggestion: str | None = None,
    ) -> NoReturn:
        self._note(code, message, place, expected, suggestion)
        raise _Unreadable

    # Lines

    def _line(self, piece: str, start: int) -> None:
        head, colon, value = piece.partition(":")
        if not colon and "=" in piece:
            self._rule(piece, start, start)
            return
        name, _, parameter = head.partition(";")
        at = start + len(head) + 1
        place = (start, start + len(name))
        match name.upper():
            case "RRULE" if colon and not parameter:
                self._rule(value, at, start)
            case "DTSTART" if colon:
                if self._start is not None:
                    self._fail("second", "there is a DTSTART already", place)
                self._start = self._stamp(value, at, parameter, start + len(name) + 1)
                if not FIRST_START <= self._start.naive.year <= LAST_START:
                    message = f"a rule starts in the years {FIRST_START} to {LAST_START}"
                    self._fail("range", message, (at, at + 4), (f"{FIRST_START:04}-{LAST_START}",))
            case "EXDATE" if colon:
                for one in value.split(","):
                    self._excluded.append(self._stamp(one, at, parameter, start + len(name) + 1))
                    at += len(one) + 1
            case _:
                hint = nearest(name.upper(), LINES)
                self._fail("line", f'"{name}" is not supported', place, LINES, hint and f'"{hint}"')

    def _stamp(self, text: str, at: int, parameter: str, parameter_at: int) -> Stamp:
        zone = None
        if parameter:
            key, _, name = parameter.partition("=")
            zone_at = (parameter_at + len(key) + 1, parameter_at + len(parameter))
            if key.upper() != "TZID":
                self._fail(
                    "parameter",
                    f'"{key}" is not supported',
                    (parameter_at, parameter_at + len(key)),
                    ("TZID",),
                )
            zone = official_name(name)
            if zone is None:
                self._fail("unknown_zone", f'unknown time zone "{name}"', zone_at, (), nearest_zone(name))
            self._zone_at = zone_at
        place = (at, at + len(text))
        match = _STAMP.fullmatch(text.upper())
        if match is None:
            message = "a date and a time of day are needed, as 20260301T090000"
            self._fail("stamp", message, place, ("YYYYMMDDTHHMMSS",))
        if match[3] and zone is not None:
            self._fail("stamp", "a UTC time takes no TZID", place)
        return Stamp(self._moment(match[1] + match[2], place), "UTC" if match[3] else zone)

    def _moment(self, digits: str, place: tuple[int, int]) -> datetime:
        try:
            return datetime.strptime(digits, "%Y%m%d%H%M%S")  # noqa: DTZ007 - a wall time has no zone
        except ValueError:
            self._fail("date", "there is no such date or time", place)

    # The rule

    def _rule(self, rule: str, at: int, line_at: int) -> None:
        if self._rule_seen:
            self._fail("second", "there is a rule already", (line_at, line_at + 5))
        self._rule_seen = True
        for piece in rule.split(";"):
            try:
                self._part(piece, at)
            except _Unreadable:
                self._raw.setdefault(piece.partition("=")[0].upper(), ("", at))
            at += len(piece) + 1

    def _part(self, piece: str, at: int) -> None:
        name, sign, value = piece.partition("=")
        name = name.upper()
        place = (at, at + len(name))
        if name not in PARTS:
            hint = nearest(name, PARTS)
            self._fail("part", f'"{name}" is not supported', place, PARTS, hint and f'"{hint}"')
        if name in self._names:
            self._fail("second", f"{name} is given twice", place)
        self._names[name] = place
        value_at = at + len(name) + 1
        if not sign or not value:
            self._fail("missing", f"a value of {name} is expected", (value_at, value_at))
        self._raw[name] = (value.upper(), value_at)
        if name == "FREQ" and value.upper() not in FREQUENCIES:
            hint = nearest(value.upper(), FREQUENCIES)
            where = (value_at, value_at + len(value))
            self._fail("frequency", f'unknown frequency "{value}"', where, FREQUENCIES, hint and f'"{hint}"')
        if name in ("INTERVAL", "COUNT"):
            self._number(name, value, value_at, 1, MOST_INTERVAL if name == "INTERVAL" else MOST_COUNT)
        elif name in _BY_NUMBERS:
            self._numbers(name, value, value_at, place)
        elif name in ("BYDAY", "WKST"):
            self._days(name, value, value_at, place)

    def _number(self, name: str, text: str, at: int, low: int, high: int, signed: bool = False) -> int:
        place = (at, at + len(text))
        digits = text[1:] if signed and text[:1] in "+-" else text
        if not (digits.isascii() and digits.isdigit()) or not low <= int(digits) <= high:
            shown = f"{low} to {high}" + (f" or -{high} to -{low}" if signed else "")
            self._fail("range", f"{name} is {shown}", place, (f"{low}-{high}",))
        return int(text)

    def _numbers(self, name: str, text: str, at: int, place: tuple[int, int]) -> None:
        low, high, signed = _BY_NUMBERS[name]
        values, places = [], []
        for one in text.split(","):
            values.append(self._number(name, one, at, low, high, signed))
            places.append((at, at + len(one)))
            at += len(one) + 1
        self._parts[name] = Part(name, place, tuple(values), (), tuple(places))

    def _days(self, name: str, text: str, at: int, place: tuple[int, int]) -> None:
        days, places = [], []
        for one in text.upper().split(","):
            match = _DAY.fullmatch(one)
            where = (at, at + len(one))
            if match is None or (match[1] and (name == "WKST" or int(match[1]) == 0)):
                hint = nearest(one, WEEKDAYS, 1)
                self._fail("weekday", f'"{one}" is not a weekday', where, WEEKDAYS, hint and f'"{hint}"')
            days.append((int(match[1] or 0), WEEKDAYS.index(match[2])))
            places.append(where)
            at += len(one) + 1
        if name == "WKST" and len(days) > 1:
            self._fail("weekday", "a week begins on one day", places[1], WEEKDAYS)
        self._parts[name] = Part(name, place, (), tuple(days), tuple(places))

    # What the parts ask of each other

    def _checked(self, end: int) -> RruleText | None:
        frequency = self._raw["FREQ"][0]
        self._check_parts(frequency)
        until, is_date = self._until()
        if "COUNT" in self._raw and "UNTIL" in self._raw:
            later = max(self._names["COUNT"], self._names["UNTIL"])
            self._note("conflict", "COUNT and UNTIL exclude each other", later)
        if self.problems:
            return None
        parts = {name: part for name, part in self._parts.items() if name != "WKST"}
        week_start = self._parts["WKST"].days[0][1] if "WKST" in self._parts else 1
        return RruleText(
            frequency,
            int(self._raw.get("INTERVAL", ("1", 0))[0]),
            int(self._raw["COUNT"][0]) if "COUNT" in self._raw else None,
            until,
            is_date,
            week_start,
            parts,
            self._start,
            self._zone_at,
            tuple(self._excluded),
        )

    def _check_parts(self, frequency: str) -> None:
        parts = self._parts
        others = {name for name in parts if name.startswith("BY")} - {"BYSETPOS"}
        for name, part in parts.items():
            if name == "WKST":
                continue
            if frequency in SUB_DAILY:
                hint = "a cron or natural expression"
                self._note("frequency", f"{name} does not go with {frequency}", part.place, (), hint)
            elif name in ("BYYEARDAY", "BYWEEKNO") and frequency != "YEARLY":
                self._note("frequency", f"{name} goes with YEARLY only", part.place, ("FREQ=YEARLY",))
            elif name == "BYMONTHDAY" and frequency == "WEEKLY":
                self._note("frequency", "BYMONTHDAY does not go with WEEKLY", part.place)
            elif name == "BYWEEKNO" and "BYDAY" not in parts:
                self._note("conflict", "BYWEEKNO needs BYDAY", part.place, ("BYDAY=",))
            elif name == "BYSETPOS" and not others:
                self._note("conflict", "BYSETPOS needs another BY part", part.place)
        most = 0 if "BYWEEKNO" in parts else _MOST_ORDINAL.get(frequency, 0)
        if "BYMONTH" in parts:
            most = min(most, _MOST_ORDINAL["MONTHLY"])
        if "BYDAY" in parts and frequency not in SUB_DAILY:
            for (number, _), place in zip(parts["BYDAY"].days, parts["BYDAY"].places, strict=True):
                if abs(number) > most:
                    message = f"the ordinal is 1 to {most}" if most else f"{frequency} takes no ordinal here"
                    self._note("ordinal", message, place, (f"1-{most}",) if most else WEEKDAYS)

    def _until(self) -> tuple[datetime | None, bool]:
        if "UNTIL" not in self._raw:
            return None, False
        text, at = self._raw["UNTIL"]
        place = (at, at + len(text))
        try:
            if _DATE.fullmatch(text):
                return self._moment(text + "000000", place), True
            match = _STAMP.fullmatch(text)
            if match is None or not match[3]:
                message = "UNTIL is a UTC time or a date"
                self._fail("until", message, place, ("YYYYMMDDTHHMMSSZ", "YYYYMMDD"))
            return self._moment(match[1] + match[2], place), False
        except _Unreadable:
            return None, False
