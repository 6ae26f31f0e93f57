"""Lists, brackets and ranges of values."""

from __future__ import annotations

from .syntax import Range, Value
from .values import ValueReader
from .words import CLAUSE_WORDS, UNITS

LONGEST_LIST = 366


class ListReader(ValueReader):
    """Reads what stands after a preposition or ``between``."""

    def _items(self, apart: bool) -> list[list[Value]]:
        """The values of a list or bracket. ``apart``: items of different fields form groups that combine."""
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
        return not (token.kind == "end" or token.text == "@" or token.word in CLAUSE_WORDS)

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
        """Add an item that has to name the same fields as the others; ``9am`` is 9:00 beside 10:30."""
        first = items[0]
        if first.fields != item.fields:
            if item.hour_alone and first.fields == item.fields | {"minute"}:
                item = item.joined(Value(minute=0))
            elif all(one.hour_alone for one in items) and item.fields == first.fields | {"minute"}:
                items[:] = [one.joined(Value(minute=0)) for one in items]
            else:
                expected = " and ".join(sorted(first.fields))
                self.fail(
                    "mixed_list",
                    f"every item of a list names the same: {expected}",
                    (item.start, item.end),
                    (expected,),
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
            self.fail(
                "mixed_range", f"both ends of a range name the same: {expected}", place, (expected,), hint
            )
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


def _order(value: Value) -> tuple[int, ...]:
    """The fields but the weekday as one number from year to second."""
    fields = (value.year, value.month, value.day_mask, value.hour, value.minute, value.second)
    return tuple(number or 0 for number in fields)
