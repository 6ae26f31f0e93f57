"""Natural expressions as recurrences."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ..errors import Problem, RecurrenceSyntaxError
from .calendarform import CalendarForm
from .canonical import canonical
from .checks import checked
from .clock import clock_of, instant_of, seconds_of
from .clockparts import Impossible
from .compiler import Compiled, Compiler
from .elapsedform import ElapsedForm
from .foundation import WallClockRule, agreed_zone, checked_anchor, checked_text, checked_zone
from .parser import Parser
from .syntax import Expression
from .zones import UTC

_TRIAL = 946_684_800  # 2000-01-01: stands for the anchor when a text without one is checked


class NaturalRule(WallClockRule):
    """A natural expression. Without an anchor it knows its text, not its occurrences."""

    kind = "natural"

    def __init__(self, text: str, tree: Expression, named_zone: str | None, anchor: datetime | None) -> None:
        time_zone = named_zone or UTC
        self._text = text
        self.tree = tree
        seconds = _TRIAL if anchor is None else seconds_of(anchor)
        try:
            compiler = Compiler(tree, clock_of(time_zone), seconds)
            compiled = compiler.compiled()
        except Impossible as never:
            raise RecurrenceSyntaxError(text, [never.problem]) from None
        form = compiled.form
        if anchor is not None and isinstance(form, ElapsedForm) and form.is_void():
            message = "every time that this comes to is excepted, so this never fires"
            raise RecurrenceSyntaxError(text, [Problem("never", message, 0, len(text))])
        if tree.start is not None:
            anchor = instant_of(compiler.anchor)
        self.compiled: Compiled | None = None if anchor is None else compiled
        shown = replace(tree, zone=None if time_zone == UTC else time_zone)
        known = None if anchor is None else form
        super().__init__(canonical(shown), time_zone, anchor, known, compiled.warnings, named_zone)

    def anchored(self, anchor: datetime, time_zone: str | None = None) -> NaturalRule:
        return compiled_rule(self._text, self.tree, time_zone or self.named_zone, anchor)

    def _unexcepted(self) -> NaturalRule | None:
        if not self.tree.exclusions or self.anchor is None:
            return None
        return NaturalRule(self._text, replace(self.tree, exclusions=()), self.named_zone, self.anchor)

    @property
    def classes(self) -> tuple[str, ...]:
        form = self._form
        if not isinstance(form, CalendarForm):
            return () if form is None else ("elapsed",)
        return (
            "interval-like" if form.interval_like else "fixed",
            "hour-restricted" if form.hour_restricted else "all hours",
        )

    def describe(self) -> str:
        from .description import natural_text

        return natural_text(self.expression, self.anchor, self.compiled, self.time_zone)


def natural(text: str, *, time_zone: str | None = None, anchor: datetime | None = None) -> NaturalRule:
    """Read a natural expression.

    ``anchor`` is the instant from which it counts and which supplies what the text leaves open; a schedule
    gives its creation. Raises ``RecurrenceSyntaxError`` for a text that cannot be read or never fires::

        natural("every 2 weeks on mon, wed at 9am tz Europe/Paris", anchor=datetime.now(UTC))
    """
    parser = Parser(checked_text(text))
    tree = parser.expression()
    problems = parser.problems or checked(tree)
    if problems:
        raise RecurrenceSyntaxError(text, problems)
    return compiled_rule(text, tree, time_zone, anchor)


def compiled_rule(text: str, tree: Expression, time_zone: str | None, anchor: datetime | None) -> NaturalRule:
    """The recurrence of a tree that was checked; ``text`` is what errors show."""
    zone = agreed_zone(text, tree.zone, tree.zone_at, checked_zone(time_zone))
    return NaturalRule(text, tree, zone, checked_anchor(anchor))
