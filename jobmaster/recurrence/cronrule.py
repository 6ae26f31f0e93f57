"""Cron expressions as recurrences."""

from __future__ import annotations

from datetime import datetime

from ..errors import Problem, RecurrenceSyntaxError
from .calendarform import Branch, CalendarForm
from .clock import clock_of
from .crontab import Crontab, CrontabReader
from .daterules import DateRule
from .dates import DateSet
from .daytimes import ClockMask, DayTimes
from .foundation import WallClockRule, agreed_zone, checked_anchor, checked_text, checked_zone
from .spans import ALL_24
from .zones import UTC


class CronRule(WallClockRule):
    """A cron expression; it needs no anchor, since it leaves nothing open."""

    kind = "cron"

    def __init__(self, text: str, table: Crontab, named_zone: str | None) -> None:
        time_zone = named_zone or UTC
        self._text = text
        self.table = table
        times = DayTimes([ClockMask(table.hour.mask, table.minute.mask, table.second.mask)])
        dates = DateSet(DateRule(table.date_terms))
        if not dates.exists():
            place = (table.day.start, table.day.end)
            message = "no month has such a date, so this never fires"
            raise RecurrenceSyntaxError(text, [Problem("never", message, *place)])
        form = CalendarForm(
            clock_of(time_zone),
            [Branch(dates, times)],
            interval_like=table.second.loose or table.minute.loose or table.hour.loose,
            hour_restricted=table.hour.mask != ALL_24,
        )
        prefix = "" if time_zone == UTC else f"TZ={time_zone} "
        super().__init__(prefix + table.text, time_zone, None, form, named_zone=named_zone)
        self.form = form

    def anchored(self, anchor: datetime, time_zone: str | None = None) -> CronRule:
        checked_anchor(anchor)
        if time_zone is None:
            return self
        return cron(self._text, time_zone=time_zone)

    @property
    def classes(self) -> tuple[str, ...]:
        return (
            "interval-like" if self.form.interval_like else "fixed",
            "hour-restricted" if self.form.hour_restricted else "all hours",
        )

    def describe(self) -> str:
        from .description import cron_text

        return cron_text(self.expression)


def cron(text: str, *, time_zone: str | None = None, anchor: datetime | None = None) -> CronRule:
    """Read a cron expression.

    Five fields, or six with seconds first, or a macro, with ``TZ=`` or ``CRON_TZ=`` in front if wanted.
    Raises ``RecurrenceSyntaxError`` for a text that cannot be read or never fires, ``ValueError`` for an
    unknown ``time_zone``. The anchor is accepted and not needed::

        cron("0 18 * * 1-5", time_zone="America/New_York")
    """
    given = checked_zone(time_zone)
    checked_anchor(anchor)
    reader = CrontabReader(checked_text(text))
    table = reader.read()
    if table is None or reader.problems:
        raise RecurrenceSyntaxError(text, reader.problems)
    zone = agreed_zone(text, table.zone, table.zone_at, given)
    return CronRule(text, table, zone)
