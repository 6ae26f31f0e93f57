"""Values of natural expressions: the times, dates, weekdays and special days that points and windows hold."""

from __future__ import annotations

from .monthdays import WEEKEND, WORKDAYS, MonthDay
from .numerals import NumberReader, field_of, missing_days, wrapped
from .spans import bits
from .syntax import Value
from .tokens import Token
from .words import (
    CLAUSE_WORDS,
    FIRST_DAY,
    LAST_DAY,
    MONTHS,
    NTH,
    ORDINAL_ENDINGS,
    RANGES,
    UNITS,
    VALUE_WORDS,
    WEEKDAYS,
)

_FURTHEST_OFFSET = 31
_PLAIN_WORDS = ("noon", "midnight", "weekdays", "weekends")


class ValueReader(NumberReader):
    """Reads one value: parts that name different fields."""

    def value(self, unit: str | None = None) -> Value:
        """The next value; a bare number, ``first`` or ``last`` in it counts in ``unit``."""
        if not self.starts_value(unit):
            self.fail_at(self.token, VALUE_WORDS, "a value is expected", ("a time, date, weekday or unit",))
        value = self._part(Value(), unit)
        while self._goes_on(value):
            part_at = self.index
            part = self._part(value, None)
            self._refuse_pair(value, part, self.tokens[part_at])
            value = value.joined(part)
        self._check_date(value)
        return value

    def _goes_on(self, value: Value) -> bool:
        """Whether another part follows, after the T of ``2026-03-01T06:15`` if there is one."""
        token, after = self.token, self.ahead()
        if (
            token.word == "t"
            and token.joined
            and after.joined
            and after.kind == "number"
            and "dashed" in value.places
        ):
            self.advance()
        return self.starts_value(None)

    def starts_value(self, unit: str | None) -> bool:
        """Whether the next token can begin a part of a value."""
        token = self.token
        if token.kind == "number":
            return True
        if token.kind != "word" or token.word in CLAUSE_WORDS:
            return False
        if token.word in NTH and token.word != "second" and unit is not None:
            return True
        return (
            token.word in UNITS
            or token.word in WEEKDAYS
            or token.word in MONTHS
            or token.word in LAST_DAY
            or token.word in FIRST_DAY
            or token.word in NTH
            or token.word in _PLAIN_WORDS
            or token.word.startswith("closest")
            or _compound(token.word) is not None
        )

    def _refuse_pair(self, value: Value, part: Value, token: Token) -> None:
        place = (token.start, self.tokens[self.index - 1].end)
        if value.weekday is not None and isinstance(part.day, int):
            day = bits(part.day)[0]
            name = self.text[slice(*value.place("weekday"))]
            self.fail(
                "ambiguous",
                "a weekday and a day of the month side by side have two readings",
                place,
                (),
                f'"on {self.text[slice(*part.place("day"))]} on {name}"'
                + (f', or "{self.text[slice(*part.place("day"))]} {name}"' if day <= 5 else ""),
            )
        if both := value.fields & part.fields:
            self.fail("repeated", f"the {min(both)} is named twice", place)

    def _part(self, before: Value, unit: str | None) -> Value:
        token = self.token
        if token.kind == "number":
            return self._from_number(before, unit)
        word = token.word
        if word in NTH and not (word == "second" and self.ahead().word not in WEEKDAYS):
            return self._from_rank(unit)
        if word in UNITS:
            return self._from_unit()
        if word in WEEKDAYS:
            return self._weekdays()
        if word in MONTHS:
            return self._from_month()
        self.advance()
        place = (token.start, token.end)
        if word == "noon":
            return Value(hour=12, minute=0, places={"hour": place, "minute": place})
        if word == "midnight":
            return Value(hour=0, minute=0, places={"hour": place, "minute": place})
        if word in ("weekdays", "weekends"):
            mask = WORKDAYS if word == "weekdays" else WEEKEND
            return Value(weekday=mask, places={"weekday": place})
        if word in LAST_DAY:
            return self._special(MonthDay("last"), token)
        if word in FIRST_DAY:
            return self._special(MonthDay("first"), token)
        if word.startswith("closest"):
            return self._closest(token)
        found = _compound(word)
        if found is None:
            self.fail_at(token, VALUE_WORDS, "a value is expected")
        return self._special(found, token)

    # Numbers

    def _from_number(self, before: Value, unit: str | None) -> Value:
        token = self.token
        after = self.ahead()
        if after.joined and after.text == ":":
            return self._time()
        if after.word in ("am", "pm"):
            return self._time()
        if after.joined and after.text == "-" and self.ahead(2).joined and len(token.text) != 3:
            if self.ahead(2).kind == "number" or self.ahead(2).word in MONTHS:
                return self._dashed_date()
        if after.joined and after.kind == "word" and after.word.startswith(ORDINAL_ENDINGS):
            if after.word[2:] == "" or after.word[2:] in WEEKDAYS:
                return self._ordinal()
        if after.word in MONTHS and not (self.ahead(2).text == "-" and self.ahead(2).joined):
            self.advance()
            day = self._number("day", token)
            return day.joined(self._month_and_year())
        if after.word in UNITS and not (after.word == "second" and self.ahead(2).word in WEEKDAYS):
            self.advance()
            self.advance()
            return self._number(field_of(UNITS[after.word]), token)
        return self._bare(before, unit)

    def _ordinal(self) -> Value:
        """``15th``, ``1st-5th``, ``3rd 11 2027``, ``1st of january``, or ``2nd tue``."""
        first = self.advance()
        ending = self.advance()
        attached = ending.word[2:]
        place = (first.start, ending.end)
        if attached or self.token.word in WEEKDAYS:
            if not 1 <= first.number <= 5:
                self.fail(
                    "range",
                    "an ordinal before a weekday is 1st to 5th",
                    place,
                    ("1st-5th",),
                    f'"on {self.text[slice(*place)]} on {self.token.text}"' if not attached else None,
                )
            weekday = WEEKDAYS[attached] if attached else WEEKDAYS[self.advance().word]
            return self._special(MonthDay("nth", first.number, weekday), first)
        day = self._number("day", first)
        day = Value(day=day.day, places={"day": place})
        if self._hyphened("number") and self.ahead(2).word in ORDINAL_ENDINGS and self.ahead(2).joined:
            self.advance()
            last = self.advance()
            self.advance()
            high = bits(self._number("day", last).day_mask)[0]
            return Value(day=wrapped(first.number, high, 1, 31), places={"day": (first.start, self._done())})
        return self._after_day(day)

    def _after_day(self, day: Value) -> Value:
        of = self.token.word == "of"
        after = self.ahead() if of else self.token
        if after.word in MONTHS:
            if of:
                self.advance()
            return day.joined(self._month_and_year())
        if after.kind == "number" and not self._claims_number(of):
            if of:
                self.advance()
            month = self._number("month", self.advance())
            return self._with_year(day.joined(month))
        if of and after.word in ("the", "each", "every", "month"):
            return self._of_month(day)
        if of:
            self.fail_at(after, MONTHS, "a month is expected", ("january-december",))
        return day

    def _claims_number(self, of: bool) -> bool:
        """Whether the number after an ordinal begins something else than a month number."""
        after = self.ahead(2 if of else 1)
        joined = after.joined and (after.text in (":", "-", ".") or after.word.startswith(ORDINAL_ENDINGS))
        return joined or after.word in ("am", "pm") or after.word in UNITS or after.text == ":"

    # Words

    def _weekdays(self) -> Value:
        first = self.advance()
        low = WEEKDAYS[first.word]
        mask = 1 << low
        if self._hyphened("word") and self.ahead().word in WEEKDAYS:
            self.advance()
            mask = wrapped(low, WEEKDAYS[self.advance().word], 0, 6)
        return Value(weekday=mask, places={"weekday": (first.start, self._done())})

    def _from_month(self) -> Value:
        first = self.token
        after, piece = self.ahead(), self.ahead(2)
        if after.text == "-" and after.joined and piece.joined:
            if piece.word in MONTHS:
                self.advance()
                self.advance()
                self.advance()
                mask = wrapped(MONTHS[first.word], MONTHS[piece.word], 1, 12)
                return Value(month=mask, places={"month": (first.start, self._done())})
            self.advance()
            self.advance()
            month = Value(month=1 << MONTHS[first.word], places={"month": (first.start, first.end)})
            value = month.joined(self._dashed("day", self.advance()))
            return value.joined(Value(places={"dashed": (first.start, self._done())}))
        return self._month_and_year()

    def _month_and_year(self) -> Value:
        """A month name, then perhaps a day and a year."""
        name = self.advance()
        value = Value(month=1 << MONTHS[name.word], places={"month": (name.start, name.end)})
        before = self.tokens[self.index - 2] if self.index > 1 else name
        day_before = before.kind == "number" or before.word in ORDINAL_ENDINGS or before.word == "of"
        token = self.token
        if token.kind == "number" and not day_before and len(token.text) != 4:
            after = self.ahead()
            if after.joined and after.word in ORDINAL_ENDINGS:
                self.advance()
                day = Value(
                    day=self._number("day", token).day, places={"day": (token.start, self.advance().end)}
                )
                return self._with_year(value.joined(day))
            if not self._claims_number(False):
                self.advance()
                return self._with_year(value.joined(self._number("day", token)))
        return self._with_year(value)

    def _with_year(self, value: Value) -> Value:
        token = self.token
        if token.kind == "number" and len(token.text) == 4 and not self._claims_number(False):
            self.advance()
            return value.joined(self._number("year", token))
        return value

    def _from_unit(self) -> Value:
        """``minute 30``, ``day last - 1``."""
        first = self.advance()
        unit = UNITS[first.word]
        token = self.token
        if token.word in ("first", "last"):
            self.advance()
            return self._edge(unit, token.word, first)
        if token.kind != "number":
            low, high = RANGES[field_of(unit)]
            self.fail_at(
                token, ("first", "last"), f"a number is expected after {first.word}", (f"{low}-{high}",)
            )
        self.advance()
        value = self._number(field_of(unit), token)
        (name,) = value.fields
        return Value(
            **{name: getattr(value, name)},
            places={name: (token.start, token.end), "unit": (first.start, first.end)},
        )

    def _from_rank(self, unit: str | None) -> Value:
        """``first monday``, ``last day``, ``last minute``; ``first`` alone in a bracket with a unit."""
        first = self.advance()
        token = self.token
        if token.word in WEEKDAYS:
            self.advance()
            return self._special(MonthDay("nth", NTH[first.word], WEEKDAYS[token.word]), first)
        if first.word in ("first", "last"):
            if token.word == "weekday":
                self.advance()
                return self._special(
                    MonthDay("first_workday" if first.word == "first" else "last_workday"), first
                )
            if token.word in UNITS:
                self.advance()
                return self._edge(UNITS[token.word], first.word, first)
            if unit is not None:
                return self._edge(unit, first.word, first)
        self.fail_at(token, (*WEEKDAYS, *UNITS, "weekday"), f'a weekday is expected after "{first.text}"')

    def _edge(self, unit: str, which: str, first: Token) -> Value:
        """The first or last value of a unit, moved by an offset."""
        if unit == "day":
            return self._special(MonthDay("first" if which == "first" else "last"), first)
        if unit == "year":
            self.fail("range", "there is no first or last year", (first.start, self._done()))
        name = field_of(unit)
        low, high = RANGES[name]
        number = min(max((low if which == "first" else high) + self._offset(), low), high)
        places = {name: (first.start, self._done())}
        if name == "weekday":
            return Value(weekday=1 << (number - 1), places=places)
        if name == "month":
            return Value(month=1 << number, places=places)
        if name == "hour":
            return Value(hour=number, places=places)
        return (
            Value(minute=number, places=places) if name == "minute" else Value(second=number, places=places)
        )

    def _closest(self, token: Token) -> Value:
        if token.word == "closest":
            if not self.take_word("weekday"):
                self.fail_at(self.token, ("weekday",), '"weekday to" is expected', ("weekday",))
            if not self.take_word("to"):
                self.fail_at(self.token, ("to",), '"to" is expected', ("to",))
        elif token.word != "closestweekdayto":
            self.fail_at(token, ("ClosestWeekdayTo",), "a value is expected")
        number = self.token
        if number.kind != "number":
            self.fail_at(number, (), "a day is expected", ("1-31",))
        self.advance()
        day = bits(self._number("day", number).day_mask)[0]
        if self.token.joined:
            self.take_word(*ORDINAL_ENDINGS)
        return self._of_month(
            Value(day=MonthDay("closest", day), places={"day": (token.start, self._done())})
        )

    def _special(self, day: MonthDay, first: Token) -> Value:
        day = day._replace(offset=self._offset())
        return self._of_month(Value(day=day, places={"day": (first.start, self._done())}))

    def _offset(self) -> int:
        sign = self.token
        if sign.kind != "sign" or sign.text not in "+-" or self.ahead().kind != "number":
            return 0
        self.advance()
        number = self.advance()
        if number.number > _FURTHEST_OFFSET:
            self.fail("range", "the offset is 0 to 31 days", (number.start, number.end), ("0-31",))
        return number.number if sign.text == "+" else -number.number

    def _of_month(self, value: Value) -> Value:
        """``of the month`` says nothing, ``of january`` names the month."""
        if not self.take_word("of"):
            return value
        self.take_word("the", "each", "every")
        if self.take_word("month"):
            return value
        if self.token.word not in MONTHS:
            self.fail_at(self.token, (*MONTHS, "month"), "a month is expected", ("month", "january-december"))
        month = self.advance()
        return value.joined(Value(month=1 << MONTHS[month.word], places={"month": (month.start, month.end)}))

    def _check_date(self, value: Value) -> None:
        if isinstance(value.day, int) and value.month is not None:
            missing = missing_days(value.day, value.month, frozenset({value.year}) if value.year else None)
            if missing:
                self.fail(
                    "date", "there is no such date", value.place("day"), (f"1-{min(bits(missing)) - 1}",)
                )


def _compound(word: str) -> MonthDay | None:
    """``FirstMon``, ``LastWeekday`` and the like, written as one word."""
    if word == "firstweekday":
        return MonthDay("first_workday")
    if word == "lastweekday":
        return MonthDay("last_workday")
    for rank, number in NTH.items():
        if word.startswith(rank) and word[len(rank) :] in WEEKDAYS:
            return MonthDay("nth", number, WEEKDAYS[word[len(rank) :]])
    return None
