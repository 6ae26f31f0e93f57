"""Numbers of natural expressions: bare ones, times and dashed dates."""

from __future__ import annotations

from calendar import monthrange

from .reader import Reader
from .spans import bits, mask_of
from .syntax import Value
from .tokens import Token
from .words import MONTHS, RANGES

_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_HALF_DAY = 12


class NumberReader(Reader):
    """Reads the values that begin with a number and have no words in them."""

    def _bare(self, before: Value, unit: str | None) -> Value:
        token = self.advance()
        following = self.token
        if unit is not None and before == Value():
            return self._number(field_of(unit), token)
        if following.text == ":" and not following.joined:
            self.fail("character", "no blank may stand before the colon", (following.start, following.end))
        if following.text == "." and following.joined and self.ahead().kind == "number":
            self.fail_sign(following)
        beside = before.hour is not None and "dashed" not in before.places
        if before.day is None and (beside or self._starts_time()):
            return self._number("day", token)
        if "dashed" in before.places and before.hour is None:
            return self._number("hour", token)
        self.fail(
            "bare_number",
            "a number needs a unit here",
            (token.start, token.end),
            ("a time", "an ordinal", "a unit"),
            f'"{token.text}am" or "{token.text}:00"' if token.number <= RANGES["hour"][1] else None,
        )

    def _starts_time(self) -> bool:
        token, after = self.token, self.ahead()
        if token.word in ("noon", "midnight"):
            return True
        return token.kind == "number" and ((after.text == ":" and after.joined) or after.word in ("am", "pm"))

    def _number(self, name: str, token: Token) -> Value:
        """A field that is given as one number, in its range."""
        low, high = RANGES[name]
        place = (token.start, token.end)
        number = token.number
        if not low <= number <= high:
            self.fail("range", f"the {name} is {low} to {high}", place, (f"{low}-{high}",))
        places = {name: place}
        match name:
            case "month":
                return Value(month=1 << number, places=places)
            case "day":
                return Value(day=1 << number, places=places)
            case "weekday":
                return Value(weekday=1 << (number - 1), places=places)
            case "year":
                return Value(year=number, places=places)
            case "hour":
                return Value(hour=number, places=places)
            case "minute":
                return Value(minute=number, places=places)
            case _:
                return Value(second=number, places=places)

    def _time(self) -> Value:
        """``HH:MM``, ``HH:MM:SS`` or an hour alone, in 12 hours if am or pm follows."""
        first = self.advance()
        pieces = [first]
        while len(pieces) < 3 and self.token.text == ":" and self.token.joined:
            colon = self.advance()
            if self.token.kind != "number" or not self.token.joined:
                if self.token.kind == "sign":
                    self.fail_sign(self.token, ("00-59",))
                place = (self.token.start, self.token.end)
                self.fail("missing", "two digits are expected right after the colon", place, ("00-59",))
            if len(self.token.text) != 2:
                name = "minute" if len(pieces) == 1 else "second"
                self.fail(
                    "digits", f"the {name} has two digits", (self.token.start, self.token.end), ("00-59",)
                )
            pieces.append(self.advance())
            if colon.text != ":":
                break
        half = self.take_word("am", "pm")
        hour = first.number
        if half is not None:
            if not 1 <= hour <= _HALF_DAY:
                place = (first.start, first.end)
                self.fail("range", f"the hour is 1 to 12 before {half.word}", place, ("1-12",))
            hour = hour % _HALF_DAY + (_HALF_DAY if half.word == "pm" else 0)
        elif hour > RANGES["hour"][1]:
            self.fail("range", "the hour is 0 to 23", (first.start, first.end), ("0-23",))
        value = Value(
            hour=hour,
            hour_alone=len(pieces) == 1,
            places={"hour": (first.start, self.tokens[self.index - 1].end)},
        )
        for name, piece in zip(("minute", "second"), pieces[1:], strict=False):
            value = value.joined(self._number(name, piece))
        return value

    def _dashed_date(self) -> Value:
        """``YYYY-MM``, ``YYYY-MM-DD`` or ``MM-DD``; a month may be a name."""
        first = self.advance()
        value = Value()
        pieces = [first]
        while self.token.text == "-" and self.token.joined and len(pieces) < 3:
            if not self.ahead().joined or self.ahead().kind not in ("number", "word"):
                break
            self.advance()
            pieces.append(self.advance())
        if len(first.text) == 4:
            value = self._number("year", pieces.pop(0))
        elif len(pieces) == 3:
            self.fail("date", "the year has four digits", (first.start, first.end), ("1970-9999",))
        for name, piece in zip(("month", "day"), pieces, strict=False):
            value = value.joined(self._dashed(name, piece))
        return value.joined(Value(places={"dashed": (first.start, self.tokens[self.index - 1].end)}))

    def _dashed(self, name: str, piece: Token) -> Value:
        place = (piece.start, piece.end)
        if name == "month" and piece.word in MONTHS:
            return Value(month=1 << MONTHS[piece.word], places={"month": place})
        if piece.kind != "number" or len(piece.text) != 2:
            low, high = RANGES[name]
            self.fail("digits", f"the {name} in a date has two digits", place, (f"{low:02}-{high}",))
        return self._number(name, piece)

    def _hyphened(self, kind: str) -> bool:
        """Whether a hyphen and a token of a kind follow with no blank around the hyphen."""
        after = self.ahead()
        return self.token.text == "-" and self.token.joined and after.joined and after.kind == kind

    def _done(self) -> int:
        return self.tokens[self.index - 1].end


def missing_days(days: int, months: int, years: frozenset[int] | None) -> int:
    """Those of some days of the month that none of some months (of some years) has, as a mask."""
    longest = 0
    for month in bits(months):
        if years is None:
            longest = max(longest, _MONTH_DAYS[month - 1])
        else:
            longest = max(longest, *(monthrange(year, month)[1] for year in years))
    return days >> (longest + 1) << (longest + 1)


def wrapped(low: int, high: int, first: int, last: int) -> int:
    """The mask of an inclusive range that goes round when its end is before its start."""
    if low <= high:
        return mask_of(range(low, high + 1))
    return mask_of((*range(low, last + 1), *range(first, high + 1)))


def field_of(unit: str) -> str:
    """The field that a unit's numbers mean in a point: a week's is the weekday, Sunday = 1."""
    return "weekday" if unit == "week" else unit
