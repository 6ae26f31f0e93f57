"""RRULE texts as recurrences."""

from __future__ import annotations

from datetime import datetime

from ..errors import Problem, RecurrenceSyntaxError
from .clock import DAY, clock_of, instant_of, seconds_of, wall_of
from .dates import DateSet
from .foundation import Form, WallClockRule, agreed_zone, checked_anchor, checked_text, checked_zone
from .numerals import missing_days
from .rruledates import RruleDates
from .rruleform import RruleForm, SteppedForm, WallTimes
from .rruletext import SUB_DAILY, RruleReader, RruleText, Stamp
from .spans import bits, mask_of
from .zones import UTC

_SEARCHED_YEARS = 50 * 366


class RruleRule(WallClockRule):
    """An RRULE with its DTSTART, which is the anchor if the text has none."""

    kind = "rrule"

    def __init__(self, text: str, rule: RruleText, named_zone: str | None, anchor: datetime | None) -> None:
        time_zone = named_zone or UTC
        self._text = text
        self.rule = rule
        clock = clock_of(time_zone)
        if rule.start is not None:
            anchor = instant_of(_instant(rule.start, time_zone))
        form: Form | None = None
        if anchor is not None:
            wall = clock.wall(seconds_of(anchor))
            if rule.start is not None and rule.start.zone in (None, time_zone):
                wall = wall_of(rule.start.naive)
            upper = _upper(rule, time_zone)
            excluded = frozenset(_instant(stamp, time_zone) for stamp in rule.excluded)
            if rule.frequency in SUB_DAILY:
                form = SteppedForm(clock, rule, seconds_of(anchor), upper, excluded)
            else:
                walls = WallTimes(rule, wall)
                _require_match(text, rule, walls)
                form = RruleForm(clock, walls, rule.times, upper, excluded)
        super().__init__(rule.text, time_zone, anchor, form, named_zone=named_zone)
        self.zone_is_free = named_zone == UTC and _starts_at_an_instant(text, rule)

    def anchored(self, anchor: datetime, time_zone: str | None = None) -> RruleRule:
        return RruleRule(
            self._text,
            self.rule,
            _zone(self._text, self.rule, time_zone or self.named_zone),
            checked_anchor(anchor),
        )

    def _unexcepted(self) -> RruleRule | None:
        if not self.rule.excluded:
            return None
        return RruleRule(self._text, self.rule._replace(excluded=()), self.named_zone, self.anchor)

    @property
    def classes(self) -> tuple[str, ...]:
        if self.rule.frequency in SUB_DAILY:
            return ("elapsed",)
        return ("offset before the gap", "first pass")

    def describe(self) -> str:
        from .description import rrule_description

        return rrule_description(self.rule, self.time_zone, self.anchor)


def rrule(text: str, *, time_zone: str | None = None, anchor: datetime | None = None) -> RruleRule:
    """Read an RRULE: ``FREQ=...`` alone, or lines ``DTSTART``, ``RRULE:`` and ``EXDATE``.

    Without DTSTART the anchor, read in the schedule's zone, is it. Raises ``RecurrenceSyntaxError``::

        rrule("FREQ=MONTHLY;BYDAY=-1FR", time_zone="Europe/Paris", anchor=datetime.now(UTC))
    """
    reader = RruleReader(checked_text(text))
    rule = reader.read()
    if rule is None:
        raise RecurrenceSyntaxError(text, reader.problems)
    _require_dates(text, rule)
    return RruleRule(text, rule, _zone(text, rule, checked_zone(time_zone)), checked_anchor(anchor))


def _zone(text: str, rule: RruleText, given: str | None) -> str | None:
    named = rule.start.zone if rule.start is not None else None
    if _starts_at_an_instant(text, rule):
        return given or named
    return agreed_zone(text, named, rule.zone_at, given)


def _starts_at_an_instant(text: str, rule: RruleText) -> bool:
    """Whether DTSTART ends with a Z: an instant, which any zone can show. A TZID names the zone instead."""
    return rule.start is not None and rule.start.zone == UTC and "DTSTART;TZID" not in text.upper()


def _instant(stamp: Stamp, time_zone: str) -> int:
    return clock_of(stamp.zone or time_zone).before_gap(wall_of(stamp.naive))


def _upper(rule: RruleText, time_zone: str) -> int | None:
    """The last instant that UNTIL allows; a date counts through the end of that local day."""
    if rule.until is None:
        return None
    wall = wall_of(rule.until)
    return clock_of(time_zone).last_pass(wall + DAY - 1) if rule.until_is_date else wall


def _require_dates(text: str, rule: RruleText) -> None:
    """Refuse days of the month that none of the months has."""
    part = rule.parts.get("BYMONTHDAY")
    months = rule.values("BYMONTH")
    if part is None or not months:
        return
    for day, place in zip(part.values, part.places, strict=True):
        if missing := missing_days(1 << abs(day), mask_of(months), None):
            problem = Problem("date", "there is no such date", *place, (f"1-{min(bits(missing)) - 1}",))
            raise RecurrenceSyntaxError(text, [problem])


def _require_match(text: str, rule: RruleText, walls: WallTimes) -> None:
    """Refuse a rule that never has a result, whatever its interval."""
    dates = DateSet(RruleDates(rule, instant_of(walls.start).date()))
    matches = dates.exists()
    if walls.picks_nothing:
        matches = False
    elif matches and walls.positions:
        matches = walls.next(walls.start, walls.start // DAY + _SEARCHED_YEARS) is not None
    if not matches:
        raise RecurrenceSyntaxError(text, [Problem("never", "the rule never has a result", 0, len(text))])
