"""The spellings of an interval: compact, ISO 8601, clock."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import NoReturn

from ..errors import Problem, RecurrenceSyntaxError

SECOND = 1_000_000
SIZES = MappingProxyType(
    {
        "w": 604_800 * SECOND,
        "d": 86_400 * SECOND,
        "h": 3_600 * SECOND,
        "m": 60 * SECOND,
        "s": SECOND,
        "ms": 1_000,
    }
)
UNITS = ("w", "d", "h", "m", "s", "ms")
_LETTERS = re.compile(r"[A-Za-z]+|.", re.DOTALL)
_DIGITS = re.compile(r"[0-9]+")
_SHAPES = re.compile(
    r"\s*(?:(?:[0-9]+(?:ms|[wdhms])\s*)+|P[0-9WDTHMSwdthms.,]*|(?:[0-9]+\.)?[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?)\s*",
    re.IGNORECASE,
)


def is_interval(text: str) -> bool:
    """Whether a whole text has the shape of an interval."""
    return _SHAPES.fullmatch(text) is not None


class IntervalReader:
    """Reads one of the three spellings; any fault ends the reading."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = len(text) - len(text.lstrip(" \t\r\n"))
        self.stop = len(text.rstrip(" \t\r\n"))

    def read(self) -> int:
        if self.at >= self.stop:
            self._fail("missing", "an interval is expected", 0, ("5m", "PT5M", "00:05:00"))
        if self.text[self.at] in "Pp":
            self.at += 1
            return self._iso()
        if ":" in self.text:
            return self._clock()
        return self._compact()

    def _fail(
        self, code: str, message: str, start: int, expected: tuple[str, ...] = (), hint: str | None = None
    ) -> NoReturn:
        raise RecurrenceSyntaxError(self.text, [Problem(code, message, start, start + 1, expected, hint)])

    def _number(self) -> str:
        match = _DIGITS.match(self.text, self.at, self.stop)
        if match is None:
            hint = None
            if self.at < self.stop and self.text[self.at].isalpha():
                hint = "a natural expression"
            self._fail("missing", "a number is expected", self.at, ("0-9",), hint)
        self.at = match.end()
        return match.group()

    def _compact(self) -> int:
        total = 0
        last = -1
        while self.at < self.stop:
            number = self._number()
            if self.at >= self.stop:
                self._fail("missing", "a unit is expected", self.at, UNITS, f'"{number}s"')
            start = self.at
            match = _LETTERS.match(self.text, self.at, self.stop)
            unit = match.group().lower() if match else ""
            if unit not in SIZES:
                self._fail("unit", f'unknown unit "{unit}"', start, UNITS)
            if UNITS.index(unit) <= last:
                self._fail(
                    "order", "the units stand from large to small, each once", start, UNITS[last + 1 :]
                )
            last = UNITS.index(unit)
            total += int(number) * SIZES[unit]
            self.at = start + len(unit)
            while self.at < self.stop and self.text[self.at] in " \t\r\n":
                self.at += 1
        return total

    def _iso(self) -> int:
        """``P[nW][nD][T[nH][nM][nS]]`` of ISO 8601."""
        total, last, timed = 0, -1, False
        start = self.at
        while self.at < self.stop:
            if self.text[self.at] in "Tt" and not timed:
                timed, last = True, 1
                self.at += 1
                start = self.at
                continue
            number = self._number()
            fraction = self._fraction()
            unit = self.text[self.at].lower() if self.at < self.stop else ""
            allowed = ("h", "m", "s") if timed else ("w", "d")
            if unit not in allowed:
                if unit in ("y", "m"):
                    name = "year" if unit == "y" else "month"
                    hint = '"T" before minutes' if unit == "m" else None
                    self._fail("unit", f"a {name} has no fixed length", self.at, allowed, hint)
                self._fail("unit", "a unit is expected", self.at, allowed)
            if UNITS.index(unit) <= last:
                self._fail("order", "the units stand from large to small, each once", self.at, allowed)
            if fraction and unit != "s":
                self._fail("fraction", "only seconds have a fraction", self.at, ("S",))
            last = UNITS.index(unit)
            total += int(number) * SIZES[unit] + fraction
            self.at += 1
        if self.at == start:
            self._fail("missing", "a number is expected", self.at, ("0-9",))
        return total

    def _fraction(self) -> int:
        """A fraction in microseconds after a point, if one follows."""
        if self.at >= self.stop or self.text[self.at] not in ".,":
            return 0
        self.at += 1
        start = self.at
        digits = self._number()
        if len(digits) > 6:
            self._fail("fraction", "a fraction has at most six digits", start + 6)
        return int(digits.ljust(6, "0"))

    def _clock(self) -> int:
        """``[D.]HH:MM:SS[.ffffff]``."""
        start = self.at
        days = "0"
        hours = self._number()
        if self.at < self.stop and self.text[self.at] == ".":
            self.at += 1
            start, days, hours = self.at, hours, self._number()
        total = int(days) * SIZES["d"] + self._ranged("hour", hours, 23, start) * SIZES["h"]
        for name, unit in (("minute", "m"), ("second", "s")):
            if self.at >= self.stop or self.text[self.at] != ":":
                self._fail(
                    "missing", f"the {name}s are expected", self.at, (":00-:59",), '"5m" or "00:05:00"'
                )
            self.at += 1
            start = self.at
            total += self._ranged(name, self._number(), 59, start) * SIZES[unit]
        total += self._fraction()
        if self.at < self.stop:
            self._fail("extra", "nothing may follow the seconds", self.at)
        return total

    def _ranged(self, name: str, digits: str, high: int, start: int) -> int:
        if len(digits) > 2 or int(digits) > high:
            self._fail("range", f"the {name} is 0 to {high}", start, (f"0-{high}",))
        return int(digits)


def interval_text(step: int) -> str:
    """The canonical spelling of a number of microseconds."""
    if step % 1_000:
        return f"PT{step // SECOND}.{step % SECOND:06}S"
    parts = []
    for unit in UNITS:
        count, step = divmod(step, SIZES[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
