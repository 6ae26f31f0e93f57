"""From what callers give as a schedule to a recurrence that can be stored as text and read again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

from ..errors import Problem, RecurrenceSyntaxError
from ..recurrence import Builder, Recurrence, bounded, kind_of, parse
from ..recurrence import interval as interval_of
from ..recurrence.boundedrule import BoundedRecurrence
from ..recurrence.builder import Every
from ..recurrence.foundation import checked_zone
from .requests import aware_utc

__all__ = [
    "Bounds",
    "Expression",
    "ScheduleExpression",
    "backfill_start",
    "dates",
    "is_plain_word",
    "read",
    "unbounded",
]

EARLIEST_BACKFILL = datetime(1900, 1, 1, tzinfo=UTC)
"""Every store keeps instants from here on."""

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

    Raises ``RecurrenceSyntaxError``, also when the expression names another zone than the schedule,
    ``ValueError`` for an unknown zone, ``TypeError`` for what is none.
    """
    zone = checked_zone(time_zone)
    if isinstance(given, timedelta):
        found: Recurrence = interval_of(given, anchor=now)
        return Expression(found, found.kind, found.expression, zone or default_zone, None)
    if isinstance(given, str):
        return _read(given, None, zone, default_zone, None, now)
    if isinstance(given, Builder):
        return _read(str(given), "natural", zone, default_zone, None, now)
    if isinstance(given, BoundedRecurrence):
        bounds = unbounded(given)
        read_inside = read(bounds.recurrence, bounds.agreed_zone(zone), default_zone, now)
        recurrence = bounded(
            read_inside.recurrence,
            start_after=bounds.start_after,
            end_before=bounds.end_before,
            excluded_dates=bounds.excluded_dates,
            time_zone=read_inside.time_zone,
        )
        return replace(read_inside, recurrence=recurrence)
    if isinstance(given, Recurrence):
        return _read_again(given, zone, default_zone, now)
    if isinstance(given, Every):
        raise TypeError(f"{given!r} has no unit: give it one, as in {given!r}.minutes()")
    raise TypeError(
        "a schedule is a text, a timedelta or a recurrence such as cron(...) or every(...), not "
        f"{type(given).__name__}"
    )


def _read_again(given: Recurrence, zone: str | None, default_zone: str, now: datetime) -> Expression:
    """A recurrence is stored as its text, which has to say all that it is."""
    named = _named_zone(given)
    if named is not None and zone is not None and named != zone and not getattr(given, "zone_is_free", False):
        raise _conflict(given, named, zone)
    anchor = getattr(given, "anchor", None)
    found = _read(given.expression, given.kind, zone or named, default_zone, anchor, now)
    if type(found.recurrence) is not type(given):
        raise TypeError(
            f"a {type(given).__name__} cannot be stored: its expression {given.expression!r} is read as "
            f"{found.recurrence!r}. Give the recurrence itself, with start_after, end_before and "
            "excluded_dates for its bounds, or register a kind of your own at the entry point "
            "jobmaster.recurrence"
        )
    return found


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
    if zone is None and default_zone != "UTC" and found.time_zone is not None and _named_zone(found) is None:
        try:
            found = parse(text, kind=kind, time_zone=default_zone, anchor=start)
        except RecurrenceSyntaxError as fault:
            # a kind of another make, whose text says UTC
            if fault.problems[0].code != "zone_conflict":
                raise
    shown = found.time_zone or zone or default_zone
    return Expression(found, found.kind, found.expression, shown, anchor)


def _named_zone(given: Recurrence) -> str | None:
    """The zone that somebody named; a recurrence of another make, which does not say, names all but UTC."""
    other = given.time_zone if given.time_zone != "UTC" else None
    named: str | None = getattr(given, "named_zone", other)
    return named


def _conflict(given: Recurrence, named: str, zone: str) -> RecurrenceSyntaxError:
    text = given.expression
    message = f'the recurrence has the time zone "{named}" and the schedule "{zone}": name one of them'
    return RecurrenceSyntaxError(text, [Problem("zone_conflict", message, 0, len(text), (named,))])


@dataclass(frozen=True, slots=True)
class Bounds:
    """What ``bounded`` put around a recurrence, however often it was called."""

    recurrence: Recurrence
    start_after: datetime | None
    end_before: datetime | None
    excluded_dates: frozenset[date]
    time_zone: str | None

    def agreed_zone(self, zone: str | None) -> str | None:
        """The zone of the excluded dates of a recurrence that has none itself; else what is given."""
        if self.recurrence.time_zone is not None or self.time_zone is None:
            return zone
        if zone is not None and zone != self.time_zone:
            raise _conflict(self.recurrence, self.time_zone, zone)
        return self.time_zone


def unbounded(given: BoundedRecurrence) -> Bounds:
    """The recurrence inside, and its bounds: of several the tightest, and the excluded dates of all."""
    starts, ends = [given.start_after], [given.end_before]
    excluded, inside, zone = given.excluded_dates, given.inner, given.named_zone
    while isinstance(inside, BoundedRecurrence):
        if excluded and inside.excluded_dates and zone != inside.named_zone:
            raise ValueError("excluded dates of two time zones do not go into one schedule")
        starts.append(inside.start_after)
        ends.append(inside.end_before)
        zone = inside.named_zone or zone
        excluded, inside = excluded | inside.excluded_dates, inside.inner
    return Bounds(
        inside,
        max((at for at in starts if at is not None), default=None),
        min((at for at in ends if at is not None), default=None),
        excluded,
        zone,
    )


def is_plain_word(given: object) -> bool:
    """Whether a text has the look of an id rather than of an expression: one word, read as no kind but the
    natural one."""
    return isinstance(given, str) and len(given.split()) == 1 and kind_of(given) == "natural"


def backfill_start(given: object) -> datetime:
    """Where a backfill begins, in UTC; ``ValueError`` for a naive instant and for one before 1900."""
    start = aware_utc(given, "start")
    if start < EARLIEST_BACKFILL:
        raise ValueError(
            f"start {start.isoformat()} is too early: a backfill begins in {EARLIEST_BACKFILL.year} or later"
        )
    return start


def dates(given: Iterable[object]) -> tuple[date, ...]:
    """Excluded local dates, sorted: ``date`` objects or texts such as ``2026-12-25``."""
    if isinstance(given, str | date) or not isinstance(given, Iterable):
        raise TypeError(f"excluded_dates is a collection of dates, not {given!r}")
    found: set[date] = set()
    for day in given:
        if isinstance(day, datetime) or not isinstance(day, date | str):
            raise TypeError(f"excluded_dates holds dates, not {day!r}")
        try:
            found.add(date.fromisoformat(day) if isinstance(day, str) else day)
        except ValueError:
            raise ValueError(f"excluded_dates: {day!r} is not a date such as 2026-12-25") from None
    return tuple(sorted(found))
