"""Fluent expressions: each call adds one clause to the syntax tree that the parser of texts builds too."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time
from enum import StrEnum
from typing import Literal

from ..errors import Problem, RecurrenceSyntaxError
from .canonical import canonical
from .checks import checked
from .foundation import checked_zone
from .naturalrule import NaturalRule, compiled_rule
from .parser import Parser
from .protocol import Explanation
from .syntax import Expression
from .words import ORDINAL_WORDS, ordinal


class Weekday(StrEnum):
    """A weekday, as values of expressions spell it."""

    SUNDAY = "sun"
    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"


class Month(StrEnum):
    """A month, as values of expressions spell it."""

    JANUARY = "jan"
    FEBRUARY = "feb"
    MARCH = "mar"
    APRIL = "apr"
    MAY = "may"
    JUNE = "jun"
    JULY = "jul"
    AUGUST = "aug"
    SEPTEMBER = "sep"
    OCTOBER = "oct"
    NOVEMBER = "nov"
    DECEMBER = "dec"


Value = str | date | time | datetime
"""A text such as ``"18:00"``, ``"15th"``, ``"mon"``, or an object: wall dates and times, without a zone."""
Rank = Literal["first", "second", "third", "fourth", "fifth", "last"]


class Builder:
    """A natural expression that grows call by call; every call returns a new one and changes nothing.

    A value that cannot be read, or a clause that contradicts an earlier one, raises
    ``RecurrenceSyntaxError`` at once, and the error names the method. A builder is a ``Recurrence``;
    ``build`` gives it its anchor.
    """

    __slots__ = ("tree",)
    kind = "natural"

    def __init__(self, tree: Expression) -> None:
        self.tree = tree

    def __str__(self) -> str:
        return canonical(self.tree)

    def __repr__(self) -> str:
        return f"<{self}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Builder):
            return NotImplemented
        return self.tree == other.tree

    def __hash__(self) -> int:
        return hash(self.tree)

    # Clauses

    def anchored_on(self, anchor: int | str) -> Builder:
        """On a grid of the clock or calendar: ``every(5).minutes().anchored_on(0)``."""
        if self.tree.cadence is None:
            raise _error(str(anchor), "anchored_on", "an anchor needs a cadence: every(...)")
        text = f"{canonical(Expression(cadence=self.tree.cadence))} AnchoredOn {anchor}"
        found = clause("anchored_on", text)
        return self._with("anchored_on", replace(self.tree, cadence=found.cadence), text)

    def at(self, *values: Value) -> Builder:
        """At one of some times: ``.at("09:00", "18:00")``."""
        return self._points("at", "at", _texts("at", values))

    def on(self, *values: Value) -> Builder:
        """On one of some weekdays, days or dates: ``.on("mon", "wed")``."""
        return self._points("on", "on", _texts("on", values))

    def in_month(self, *values: str) -> Builder:
        """In one of some months: ``.in_month("jan", "jun")``."""
        return self._points("in_month", "in", _texts("in_month", values))

    def on_day(self, *days: int | Literal["first", "last"]) -> Builder:
        """On one of some days of the month, from 1, or the first or last one."""
        names = {"first": "FirstDay", "last": "LastDay"}
        texts = [ordinal(day) if isinstance(day, int) else names.get(day, day) for day in days]
        return self._points("on_day", "on", _some("on_day", texts))

    def on_last_day(self, offset: int = 0) -> Builder:
        """On the last day of the month, or some days before it: ``.on_last_day(-2)``."""
        return self._points("on_last_day", "on", ["LastDay" + _offset(offset)])

    def on_nth(self, rank: Rank | int, weekday: str, offset: int = 0) -> Builder:
        """On the first to fifth or the last such weekday of the month: ``.on_nth("first", "mon", +1)``."""
        if isinstance(rank, int):
            if rank != -1 and not 1 <= rank <= len(ORDINAL_WORDS):
                raise _error(str(rank), "on_nth", "the rank is 1 to 5, or -1 for the last")
            word = "last" if rank == -1 else ORDINAL_WORDS[rank - 1]
        else:
            word = rank
        return self._points("on_nth", "on", [f"{word} {weekday}{_offset(offset)}"])

    def on_nearest_weekday(self, day: int) -> Builder:
        """On the Monday-to-Friday day nearest to a day of the month."""
        return self._points("on_nearest_weekday", "on", [f"ClosestWeekdayTo {day}"])

    def between(self, *ends: Value | tuple[Value, Value]) -> Builder:
        """Inside a window, both ends included, or one of some: ``.between("mon", "fri")``.

        ``.between(("09:00", "10:00"), ("15:00", "16:00"))`` allows either of two.
        """
        return self._window("between", f"between {_ranges('between', ends)}")

    def between_times(self, low: Value, high: Value) -> Builder:
        """Inside a window of the day: ``.between_times("09:00", "17:00")``."""
        return self._window("between_times", f"between {_ranges('between_times', (low, high))}")

    def from_(self, value: Value) -> Builder:
        """From a value to the last one of its field: ``.from_("22:00")``."""
        return self._window("from_", f"from {_text('from_', value)}")

    def upto(self, value: Value) -> Builder:
        """From the first value of a field to this one, included: ``.upto("fri")``."""
        return self._window("upto", f"upto {_text('upto', value)}")

    def except_(self, *values: Value) -> Builder:
        """Not at wall times that match one of some values: ``.except_("dec-25", "sat")``."""
        return self._exclusion("except_", f"except {_listed(_texts('except_', values))}")

    def except_between(self, *ends: Value | tuple[Value, Value]) -> Builder:
        """Not inside a window: ``.except_between("12:00", "12:59")``."""
        return self._exclusion("except_between", f"except between {_ranges('except_between', ends)}")

    def starting(self, value: Value) -> Builder:
        """Not before a date, at 00:00 unless a time is given; this is the anchor too."""
        text = f"starting {_text('starting', value)}"
        if self.tree.start is not None:
            raise _error(text, "starting", "there is a start already")
        found = clause("starting", text)
        return self._with("starting", replace(self.tree, start=found.start), text)

    def until(self, value: Value) -> Builder:
        """Not after a date, or a date and time, included."""
        text = f"until {_text('until', value)}"
        if self.tree.end is not None:
            raise _error(text, "until", "there is an end already")
        found = clause("until", text)
        return self._with("until", replace(self.tree, end=found.end), text)

    def in_time_zone(self, name: str) -> Builder:
        """By the wall clock of a zone: ``.in_time_zone("America/New_York")``."""
        if self.tree.zone is not None:
            raise _error(name, "in_time_zone", "there is a time zone already")
        text = f"tz {name}"
        found = clause("in_time_zone", text)
        return self._with("in_time_zone", replace(self.tree, zone=found.zone), text)

    # As a recurrence

    def build(self, *, anchor: datetime | None = None, time_zone: str | None = None) -> NaturalRule:
        """Check and compile. Equal to ``natural(str(self), anchor=anchor, time_zone=time_zone)``."""
        try:
            return compiled_rule(str(self), self.tree, time_zone, anchor)
        except RecurrenceSyntaxError as error:
            raise RecurrenceSyntaxError(error.text, error.problems, "build()") from None

    def anchored(self, anchor: datetime, time_zone: str | None = None) -> NaturalRule:
        """The recurrence counted from an anchor, in ``time_zone`` if no zone was named."""
        given = None if self.tree.zone is not None else checked_zone(time_zone)
        return self.build(anchor=anchor, time_zone=given)

    @property
    def expression(self) -> str:
        return str(self)

    @property
    def time_zone(self) -> str | None:
        return self.tree.zone or "UTC"

    @property
    def named_zone(self) -> str | None:
        """The zone that ``in_time_zone`` named; ``None`` when nobody named one."""
        return self.tree.zone

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return self.build().warnings

    def next_after(self, instant: datetime) -> datetime | None:
        """The first occurrence after an instant; ``ValueError`` unless ``starting`` gave an anchor."""
        return self.build().next_after(instant)

    def describe(self) -> str:
        return self.build().describe()

    def explain(self, after: datetime, count: int = 5) -> Explanation:
        return self.build().explain(after, count)

    # Shared

    def _points(self, method: str, word: str, texts: list[str]) -> Builder:
        text = f"{word} {_listed(texts)}"
        found = clause(method, text, "points")
        return self._with(method, replace(self.tree, points=(*self.tree.points, *found.points)), text)

    def _window(self, method: str, text: str) -> Builder:
        found = clause(method, text, "windows")
        return self._with(method, replace(self.tree, windows=(*self.tree.windows, *found.windows)), text)

    def _exclusion(self, method: str, text: str) -> Builder:
        found = clause(method, text, "exclusions")
        exclusions = (*self.tree.exclusions, *found.exclusions)
        return self._with(method, replace(self.tree, exclusions=exclusions), text)

    def _with(self, method: str, tree: Expression, text: str) -> Builder:
        """The builder of a tree, if the clause that was just added goes with the others."""
        problems = checked(tree)
        if problems:
            raise RecurrenceSyntaxError(text, [_whole(problem, text) for problem in problems], f"{method}()")
        return Builder(tree)


class Every:
    """A number that waits for its unit."""

    __slots__ = ("_n",)

    def __init__(self, n: int) -> None:
        self._n = n

    def __repr__(self) -> str:
        return f"every({self._n})"

    def seconds(self) -> Builder:
        return self._of("second")

    def minutes(self) -> Builder:
        return self._of("minute")

    def hours(self) -> Builder:
        return self._of("hour")

    def days(self) -> Builder:
        return self._of("day")

    def weeks(self) -> Builder:
        return self._of("week")

    def months(self) -> Builder:
        return self._of("month")

    def years(self) -> Builder:
        return self._of("year")

    second, minute, hour, day, week, month, year = seconds, minutes, hours, days, weeks, months, years

    def _of(self, unit: str) -> Builder:
        return Builder(clause("every", f"every {self._n} {unit}", "cadence"))


def _offset(offset: int) -> str:
    return f" {'+' if offset > 0 else '-'} {abs(offset)}" if offset else ""


def _text(method: str, value: Value) -> str:
    """A value as the language spells it."""
    match value:
        case str():
            return str(value)
        case datetime() | time() if value.tzinfo is not None:
            raise TypeError(f"{method}() takes wall times: {value!r} has a time zone")
        case datetime():
            return f"{value:%Y-%m-%d} {_clock(value.time())}"
        case date():
            return value.isoformat()
        case time():
            return _clock(value)
        case _:
            raise TypeError(f"{method}() takes texts, dates and times, not {type(value).__name__}")


def _clock(value: time) -> str:
    return f"{value:%H:%M:%S}" if value.second else f"{value:%H:%M}"


def _texts(method: str, values: tuple[Value, ...]) -> list[str]:
    return _some(method, [_text(method, value) for value in values])


def _some(method: str, texts: list[str]) -> list[str]:
    if not texts:
        raise _error("", method, "a value is expected")
    return texts


def listed_texts(method: str, values: tuple[Value, ...]) -> str:
    """Some values as a list of the language."""
    return _listed(_texts(method, values))


def _listed(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _ranges(method: str, ends: tuple[Value | tuple[Value, Value], ...]) -> str:
    if len(ends) == 2 and not isinstance(ends[0], tuple) and not isinstance(ends[1], tuple):
        return f"{_text(method, ends[0])} and {_text(method, ends[1])}"
    texts = []
    for pair in ends:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError(f"{method}() takes two ends, or pairs of them")
        texts.append(f"{_text(method, pair[0])} and {_text(method, pair[1])}")
    return _listed(_some(method, texts))


def clause(method: str, text: str, part: str | None = None) -> Expression:
    """The tree of a clause, which must be the only one in its text."""
    parser = Parser(text)
    tree = parser.expression()
    if parser.problems:
        raise RecurrenceSyntaxError(text, parser.problems, f"{method}()")
    if part is not None and tree != replace(Expression(), **{part: getattr(tree, part)}):
        raise _error(text, method, "one clause is expected")
    return tree


def _whole(problem: Problem, text: str) -> Problem:
    """A problem of the tree, placed on the clause that brought it up."""
    return Problem(problem.code, problem.message, 0, len(text), problem.expected, problem.suggestion)


def _error(text: str, method: str, message: str) -> RecurrenceSyntaxError:
    return RecurrenceSyntaxError(text, [Problem("builder", message, 0, len(text))], f"{method}()")
