"""From what callers give as a schedule to a recurrence that can be stored as text and read again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeAlias

from ..errors import RecurrenceSyntaxError
from ..recurrence import Builder, Recurrence, parse
from ..recurrence import interval as interval_of
from ..recurrence.foundation import checked_zone

__all__ = ["Expression", "ScheduleExpression", "dates", "read"]

ScheduleExpression: TypeAlias = str | timedelta | Recurrence
"""An expression of any kind as text, the length of an interval, or a recurrence."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A schedule's expression as it is stored."""

    recurrence: Recurrence
    """Anchored for the time being."""
    kind: str
    text: str
    time_zone: str | None
    anchor: datetime | None
    """The anchor that the caller gave."""


def read(given: object, time_zone: str | None, default_zone: str, now: datetime) -> Expression:
    """Check an expression. ``time_zone`` is what the schedule names, ``default_zone`` what holds otherwise.

    Raises ``RecurrenceSyntaxError``, ``ValueError`` for an unknown zone, ``TypeError`` for what is none.
    """
    zone = checked_zone(time_zone)
    if isinstance(given, timedelta):
        found: Recurrence = interval_of(given, anchor=now)
        return Expression(found, found.kind, found.expression, zone or default_zone, None)
    if isinstance(given, str):
        return _read(given, None, zone, default_zone, None, now)
    if isinstance(given, Builder):
        return _read(str(given), "natural", zone, default_zone, None, now)
    if isinstance(given, Recurrence):
        own = given.time_zone if given.time_zone not in (None, "UTC") else None
        anchor = getattr(given, "anchor", None)
        return _read(given.expression, given.kind, own or zone, default_zone, anchor, now)
    raise TypeError(
        "a schedule is a text, a timedelta or a recurrence such as cron(...) or every(...), not "
        f"{type(given).__name__}"
    )


def _read(
    text: str,
    kind: str | None,
    zone: str | None,
    default_zone: str,
    anchor: datetime | None,
    now: datetime,
) -> Expression:
    start = anchor or now
    found = parse(text, kind=kind, time_zone=zone, anchor=start)
    if zone is None and default_zone != "UTC" and found.time_zone == "UTC":
        try:
            found = parse(text, kind=kind, time_zone=default_zone, anchor=start)
        except RecurrenceSyntaxError as fault:
            # the text itself says UTC
            if fault.problems[0].code != "zone_conflict":
                raise
    shown = found.time_zone or zone or default_zone
    return Expression(found, found.kind, found.expression, shown, anchor)


def dates(given: Iterable[object]) -> tuple[date, ...]:
    """Excluded local dates, sorted: ``date`` objects or texts such as ``2026-12-25``."""
    if isinstance(given, str | date):
        raise TypeError("excluded_dates is a collection of dates")
    found: set[date] = set()
    for day in given:
        if isinstance(day, datetime) or not isinstance(day, date | str):
            raise TypeError(f"excluded_dates holds dates, not {day!r}")
        try:
            found.add(date.fromisoformat(day) if isinstance(day, str) else day)
        except ValueError:
            raise ValueError(f"excluded_dates: {day!r} is not a date such as 2026-12-25") from None
    return tuple(sorted(found))
