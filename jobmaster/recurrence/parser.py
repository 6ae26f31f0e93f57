"""The parser of natural expressions: recursive descent, one method per clause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .lists import ListReader
from .reader import HINTS, Unreadable
from .syntax import Cadence, Exclusion, Expression, Place, Points, Range, Value, Window
from .tokens import Token, zone_at
from .values import ValueReader
from .words import (
    ANCHOR_WORDS,
    CLAUSE_WORDS,
    MONTHS,
    NTH,
    ORDINAL_ENDINGS,
    PREPOSITIONS,
    RANGES,
    SHORTCUTS,
    UNITS,
    WEEKDAYS,
)
from .zones import nearest_zone, official_name

MOST_UNITS = 1_000_000


class Parser(ListReader):
    """Reads a whole expression; ``problems`` is empty afterwards if it could be read."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._tree = Expression()

    def expression(self) -> Expression:
        while self.token.kind != "end":
            start = self.index
            try:
                self._clause()
            except Unreadable:
                self._recover(start)
        return self._tree

    def _recover(self, start: int) -> None:
        """Read on at the next clause word, so that a second fault is found as well."""
        if self.index == start:
            self.advance()
        while self.token.kind != "end" and self.token.word not in CLAUSE_WORDS:
            self.advance()

    def _clause(self) -> None:
        if self.take_sign(","):
            return
        token = self.token
        if token.text == "@":
            after = self.ahead()
            if not after.joined or after.word not in CLAUSE_WORDS:
                self.fail("at_sign", "@ stands directly before a clause word only", (token.start, token.end))
            self.advance()
            token = self.token
        if token.word not in CLAUSE_WORDS:
            self._refuse_clause(token)
        self.advance()
        at = (token.start, token.end)
        word = token.word
        if word == "every" or word in SHORTCUTS:
            self._cadence(token)
        elif word in ("tz", "timezone") or (word == "in" and self._zone_follows()):
            self._zone(at)
        elif word in PREPOSITIONS:
            self.take_word("the")
            groups = self._items(apart=True)
            points = tuple(
                Points(tuple(group), (group[0].start if n else token.start, token.end))
                for n, group in enumerate(groups)
            )
            self._tree = replace(self._tree, points=(*self._tree.points, *points))
        elif word == "between":
            self._tree = replace(self._tree, windows=(*self._tree.windows, Window(self._ranges(), at)))
        elif word in ("from", "upto"):
            value = self._end()
            bound = Range(value, None) if word == "from" else Range(None, value)
            self._tree = replace(self._tree, windows=(*self._tree.windows, Window((bound,), at)))
        elif word == "except":
            self._exclusion(at)
        else:
            self._limit(token)

    def _refuse_clause(self, token: Token) -> None:
        place = (token.start, token.end)
        if token.text == "]":
            self.fail("bracket", "no bracket is open", place)
        if self.starts_value(None) or token.text == "[":
            end = self._value_end()
            word = "at" if token.kind == "number" and self.ahead().text == ":" else "on"
            expected = (
                "every",
                "on",
                "at",
                "in",
                "between",
                "from",
                "upto",
                "except",
                "starting",
                "until",
                "tz",
            )
            hint = f'"{word} {self.text[token.start : end]}"'
            self.fail("clause_word", "a clause word is expected", place, expected, hint)
        self.fail_at(token, CLAUSE_WORDS, "a clause word is expected")

    def _value_end(self) -> int:
        """Where the value at hand ends, for a hint; what is wrong inside it is told another time."""
        trial = ValueReader(self.text)
        trial.index = self.index
        try:
            trial.value()
        except Unreadable:
            return self.token.end
        return trial.tokens[trial.index - 1].end

    # every

    def _cadence(self, first: Token) -> None:
        cadence = self._cadence_of(first)
        if self._tree.cadence is not None:
            self.note("second", "there is a cadence already", (first.start, first.end))
            return
        self._tree = replace(self._tree, cadence=cadence)

    def _cadence_of(self, first: Token) -> Cadence:
        at = (first.start, first.end)
        if first.word in SHORTCUTS:
            return self._anchor(Cadence(SHORTCUTS[first.word], at=at, n_at=at))
        token = self.token
        if token.word in ("weekday", "weekdays", "weekend", "weekends"):
            self.advance()
            mask = 0b0111110 if token.word.startswith("weekday") else 0b1000001
            return Cadence("day", weekdays=mask, at=at, n_at=at)
        if token.word in WEEKDAYS:
            return Cadence("week", weekdays=self._weekday_list(), at=at, n_at=at)
        self._refuse_cadence(token)
        n, n_at = 1, at
        if token.kind == "number":
            self.advance()
            n, n_at = token.number, (token.start, token.end)
            if not 1 <= n <= MOST_UNITS:
                self.fail("range", "the number is 1 to 1000000", n_at, ("1-1000000",))
        unit = self.token
        if unit.word not in UNITS:
            valid = (*UNITS, *(WEEKDAYS if token.kind != "number" else ()))
            if unit.word in CLAUSE_WORDS:
                self.fail("missing", "a unit is expected", (unit.start, unit.end), tuple(UNITS))
            self.fail_at(
                unit,
                valid,
                "a unit is expected",
                ("second", "minute", "hour", "day", "week", "month", "year"),
            )
        self.advance()
        return self._anchor(Cadence(UNITS[unit.word], n, at=at, n_at=n_at))

    def _refuse_cadence(self, token: Token) -> None:
        """Refuse what has two readings or none after ``every``, with the spelling to use."""
        place = (token.start, token.end)
        after = self.ahead()
        if token.word in NTH and not (token.word == "second" and after.word not in WEEKDAYS):
            name = f"{token.word} {after.text.lower()}".strip()
            hint = f'"every month on {name}"'
            if token.word == "second":
                hint = f'"every 2 weeks on {after.text.lower()}", or {hint}'
            self.fail("ambiguous", f'"every {name}" has no one meaning', place, (), hint)
        if token.word in HINTS:
            hint = HINTS[token.word]
            if token.word == "other":
                hint = f"every 2 {UNITS[after.word]}s" if after.word in UNITS else "every 2 days"
            self.fail("unknown_word", f'"{token.text}" is not in the language', place, (), f'"{hint}"')
        if token.kind == "number" and after.joined and after.word[:2] in ORDINAL_ENDINGS:
            if after.word[2:] == "" or after.word[2:] in WEEKDAYS:
                name = self.text[token.start : after.end]
                weekday = self.ahead(2)
                if weekday.word in WEEKDAYS:
                    name += f" {weekday.text}"
                self.fail(
                    "ambiguous",
                    "an ordinal is not a unit",
                    (token.start, after.end),
                    (),
                    f'"every month on {name}"',
                )

    def _weekday_list(self) -> int:
        mask = self._weekdays().weekday or 0
        while self.token.text == "," or self.token.word == "and":
            separator = self.token
            after = self.ahead()
            if after.word not in WEEKDAYS:
                if after.kind == "word" and after.word not in CLAUSE_WORDS:
                    self.advance()
                    self.fail_at(self.token, WEEKDAYS, "a weekday is expected", ("sunday-saturday",))
                if separator.word == "and":
                    self.advance()
                    self.fail_at(self.token, WEEKDAYS, "a weekday is expected", ("sunday-saturday",))
                break
            self.advance()
            mask |= self._weekdays().weekday or 0
        return mask

    def _anchor(self, cadence: Cadence) -> Cadence:
        token = self.token
        if token.word in ("anchored", "based"):
            self.advance()
            if not self.take_word("on", "at", "in"):
                self.fail_at(self.token, PREPOSITIONS, "on, at or in is expected", ("on", "at", "in"))
        elif token.word in ANCHOR_WORDS:
            self.advance()
        else:
            return cadence
        token = self.token
        name = "weekday" if cadence.unit == "week" else cadence.unit
        low, high = RANGES[name]
        place = (token.start, token.end)
        named: Mapping[str, int] = {"weekday": WEEKDAYS, "month": MONTHS}.get(name, {})
        if token.word in named:
            self.advance()
            anchor = named[token.word]
        elif token.kind == "number":
            after = self.ahead()
            self.advance()
            ordinal = after.joined and after.word in ORDINAL_ENDINGS and name in ("day", "month", "weekday")
            if ordinal:
                self.advance()
            elif (
                (after.joined and after.kind in ("word", "number"))
                or after.text == ":"
                or after.word in ("am", "pm")
            ):
                self.fail("anchor", f"the anchor is the number of {_a(name)}", place, (f"{low}-{high}",))
            anchor = token.number
            if not low <= anchor <= high:
                self.fail("range", f"the {name} is {low} to {high}", place, (f"{low}-{high}",))
            if name == "weekday":
                anchor -= 1
        elif token.word in WEEKDAYS or token.word in MONTHS:
            self.fail("anchor", f"the anchor of this cadence is {_a(name)}", place, (f"{low}-{high}",))
        else:
            self.fail_at(token, named, "a value is expected", (f"{low}-{high}",))
        return replace(cadence, anchor=anchor, anchor_at=place)

    # The other clauses

    def _exclusion(self, at: Place) -> None:
        items: tuple[Value | Range, ...]
        if self.take_word("between"):
            items = self._ranges()
        else:
            self.take_word(*PREPOSITIONS)
            self.take_word("the")
            items = tuple(value for group in self._items(apart=False) for value in group)
        self._tree = replace(self._tree, exclusions=(*self._tree.exclusions, Exclusion(items, at)))

    def _limit(self, first: Token) -> None:
        """``starting`` and ``until``."""
        name = "start" if first.word == "starting" else "end"
        if getattr(self._tree, name) is not None:
            self.fail("second", f'there is a "{first.word}" already', (first.start, first.end))
        if name == "start":
            self.take_word("on", "at", "from")
        value = self.value()
        if not value.is_full_date:
            shown = self.text[value.start : value.end]
            hint = None
            if name == "end" and not value.fields - {"hour", "minute", "second"}:
                hint = f'"upto {shown}"'
            place = (value.start, value.end)
            self.fail(
                "full_date", "a date with year, month and day is expected", place, ("YYYY-MM-DD",), hint
            )
        if name == "start":
            self._tree = replace(self._tree, start=value)
        else:
            self._tree = replace(self._tree, end=value)

    def _zone_follows(self) -> bool:
        name, _ = zone_at(self.text, self.token.start)
        return "/" in name or name.upper() in ("UTC", "GMT")

    def _zone(self, at: Place) -> None:
        token = self.token
        name, end = zone_at(self.text, token.start)
        if not name:
            self.fail_at(token, (), "a time zone is expected", ("a zone such as Europe/Paris",))
        while self.token.kind != "end" and self.token.start < end:
            self.advance()
        if self._tree.zone is not None:
            self.fail("second", "there is a time zone already", at)
        official = official_name(name)
        if official is None:
            self.fail(
                "unknown_zone", f'unknown time zone "{name}"', (token.start, end), (), nearest_zone(name)
            )
        self._tree = replace(self._tree, zone=official, zone_at=(token.start, end))


def _a(name: str) -> str:
    return f"an {name}" if name == "hour" else f"a {name}"
