"""The parser of natural expressions: recursive descent, one method per clause."""

from __future__ import annotations

from dataclasses import replace

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

LONGEST_LIST = 366
MOST_UNITS = 1_000_000


class Parser(ValueReader):
    """Reads a whole expression; ``problems`` is empty afterwards if it could be read."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._tree = Expression()

    def expression(self) -> Expression:
        while self.token.kind != "end":
            try:
                self._clause()
            except Unreadable:
                self._recover()
        return self._tree

    def _recover(self) -> None:
        """Read on at the next clause word, so that a second fault is found as well."""
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
            points = tuple(Points(tuple(group), (group[0].start if n else token.start, token.end)) for n, group in enumerate(groups))
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
            expected = ("every", "on", "at", "in", "between", "from", "upto", "except", "starting", "until", "tz")
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
            self.fail_at(unit, valid, "a unit is expected", ("second", "minute", "hour", "day", "week", "month", "year"))
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
                    "ambiguous", "an ordinal is not a unit", (token.start, after.end), (), f'"every month on {name}"'
                )

    def _weekday_list(self) -> int:
        mask = self._weekdays().weekday or 0
        while self.token.text == "," or self.token.word == "and":
            separator = self.token
            after = self.ahead()
            if after.word not in WEEKDAYS:
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
        named = {"weekday": WEEKDAYS, "month": MONTHS}.get(name, {})
        if token.word in named:
            self.advance()
            anchor = named[token.word]
        elif token.kind == "number":
            after = self.ahead()
            self.advance()
            ordinal = after.joined and after.word in ORDINAL_ENDINGS and name in ("day", "month", "weekday")
            if ordinal:
                self.advance()
            elif (after.joined and after.kind in ("word", "number")) or after.text == ":" or after.word in ("am", "pm"):
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

    # Lists and ranges

    def _items(self, apart: bool) -> list[list[Value]]:
        """The values of a list or a bracket. ``apart``: items of different fields form groups that combine."""
        unit: str | None = None
        if self.token.word in UNITS and self.ahead().text == "[":
            unit = UNITS[self.advance().word]
        if self.token.text == "[":
            return [self._bracket(unit, apart)]
        groups = [[self.value()]]
        while self.token.text == "," or self.token.word == "and":
            comma = self.token.text == ","
            if comma and not self._list_goes_on():
                break
            self.advance()
            while comma and self.take_sign(","):
                continue
            last = groups[-1][-1]
            if "unit" in last.places:
                unit = UNITS[self.text[slice(*last.places["unit"])].lower()]
            item = self.value(unit if self.token.kind == "number" else None)
            self._add(groups, item, comma, apart)
        return groups

    def _list_goes_on(self) -> bool:
        count = 1
        while self.ahead(count).text == ",":
            count += 1
        token = self.ahead(count)
        if token.kind == "end" or token.text == "@" or token.word in CLAUSE_WORDS:
            return False
        return True

    def _add(self, groups: list[list[Value]], item: Value, comma: bool, apart: bool) -> None:
        if not apart:
            groups[-1].append(item)
        else:
            known = {name for group in groups for name in group[0].fields}
            if comma and not item.fields & known:
                groups.append([item])
                return
            self._fit(groups[-1], item)
        self._limit_list(len(groups[-1]), item)

    def _bracket(self, unit: str | None, alike: bool) -> list[Value]:
        self.advance()
        items: list[Value] = []
        while True:
            if self.token.text in ("]", ",") or self.token.kind == "end":
                place = (self.token.start, self.token.end)
                self.fail("missing", "a value is expected", place, ("a value",))
            item = self.value(unit)
            if alike and items:
                self._fit(items, item)
            else:
                items.append(item)
            self._limit_list(len(items), item)
            if not self._separated():
                return items

    def _separated(self) -> bool:
        """Whether a bracket goes on after an item; its end is read."""
        if self.take_sign("]"):
            return False
        if not self.take_sign(","):
            if self.token.kind == "end":
                self.fail("bracket", "the bracket is not closed", (self.token.start, self.token.end), ("]",))
            self.fail_at(self.token, (), "a comma or a closing bracket is expected", (",", "]"))
        return True

    def _limit_list(self, count: int, item: Value) -> None:
        if count > LONGEST_LIST:
            self.fail("too_long", f"a list has at most {LONGEST_LIST} items", (item.start, item.end))

    def _fit(self, items: list[Value], item: Value) -> None:
        """Add an item that has to name the same fields as those before it; ``9am`` becomes 9:00 beside 10:30."""
        first = items[0]
        if first.fields != item.fields:
            if item.hour_alone and first.fields == item.fields | {"minute"}:
                item = item.joined(Value(minute=0))
            elif all(one.hour_alone for one in items) and item.fields == first.fields | {"minute"}:
                items[:] = [one.joined(Value(minute=0)) for one in items]
            else:
                expected = " and ".join(sorted(first.fields))
                self.fail(
                    "mixed_list", f"every item of a list names the same: {expected}", (item.start, item.end), (expected,)
                )
        items.append(item)

    def _ranges(self) -> tuple[Range, ...]:
        if not self.take_sign("["):
            return (self._range(),)
        ranges: list[Range] = []
        while True:
            found = self._range()
            if ranges and found.fields != ranges[0].fields:
                place = (found.some.start, found.some.end)
                expected = " and ".join(sorted(ranges[0].fields))
                self.fail("mixed_list", f"every range names the same: {expected}", place, (expected,))
            ranges.append(found)
            self._limit_list(len(ranges), found.some)
            if not self._separated():
                return tuple(ranges)

    def _range(self) -> Range:
        low = self._end()
        if not self.take_word("and"):
            self.fail_at(self.token, ("and",), '"and" is expected', ("and",))
        (name, *others) = low.fields
        unit = {"weekday": "week"}.get(name, name) if not others else None
        high = self._end(unit)
        place = (high.start, high.end)
        if low.fields != high.fields:
            hint = None
            if {low.hour_alone, high.hour_alone} == {True, False}:
                hour = (low if low.hour_alone else high).hour
                hint = f'"{hour}:00"'
            expected = " and ".join(sorted(low.fields))
            self.fail("mixed_range", f"both ends of a range name the same: {expected}", place, (expected,), hint)
        number = tuple(low.fields - {"weekday"})
        if number and "weekday" in low.fields:
            backwards = (low.weekday or 0) > (high.weekday or 0) or _order(low) > _order(high)
            if backwards:
                self.fail("wrap", "a weekday beside other fields cannot go round", place)
        return Range(low, high)

    def _end(self, unit: str | None = None) -> Value:
        value = self.value(unit)
        if not value.is_single:
            self.fail("mixed_range", "the end of a range is one value", (value.start, value.end))
        return value

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
            self.fail("full_date", "a date with year, month and day is expected", place, ("YYYY-MM-DD",), hint)
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
            self.fail("unknown_zone", f'unknown time zone "{name}"', (token.start, end), (), nearest_zone(name))
        self._tree = replace(self._tree, zone=official, zone_at=(token.start, end))


def _order(value: Value) -> tuple[int, ...]:
    """The fields but the weekday as one number from year to second."""
    fields = (value.year, value.month, value.day_mask, value.hour, value.minute, value.second)
    return tuple(number or 0 for number in fields)


def _a(name: str) -> str:
    return f"an {name}" if name == "hour" else f"a {name}"
