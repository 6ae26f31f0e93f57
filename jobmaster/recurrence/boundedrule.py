"""A recurrence inside the bounds of its schedule, without the dates that the schedule excludes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from ..errors import Problem
from .clock import DAY, EPOCH_ORDINAL, clock_of, instant_of, seconds_of, wall_of
from .foundation import WallClockRule, checked_bound, checked_zone
from .protocol import MOST_EXPLAINED, Explanation, Occurrence, Recurrence
from .zones import zone_of

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)


class BoundedRecurrence:
    """A recurrence that fires strictly after ``start_after`` and strictly before ``end_before``.

    Both only bound it: phase stays with the anchor, and the tighter of two bounds holds. An occurrence on an
    excluded local date is dropped and does not disturb counting.
    """

    def __init__(
        self,
        inner: Recurrence,
        start_after: datetime | None,
        end_before: datetime | None,
        excluded_dates: frozenset[date],
        time_zone: str,
        named_zone: str | None = None,
    ) -> None:
        self.inner = inner
        self.start_after = start_after
        self.end_before = end_before
        self.excluded_dates = excluded_dates
        self._excluded = frozenset(day.toordinal() - EPOCH_ORDINAL for day in excluded_dates)
        self._zone = time_zone
        self.named_zone = named_zone

    @property
    def kind(self) -> str:
        return self.inner.kind

    @property
    def expression(self) -> str:
        return self.inner.expression

    @property
    def time_zone(self) -> str | None:
        return self.inner.time_zone

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return self.inner.warnings

    def next_after(self, instant: datetime) -> datetime | None:
        if self.start_after is not None and instant < self.start_after:
            instant = self.start_after
        if isinstance(self.inner, WallClockRule) and self.excluded_dates:
            return self._next_of(self.inner, instant)
        found = self.inner.next_after(instant)
        while found is not None and (self.end_before is None or found < self.end_before):
            day = self._nominal_date(found, instant)
            if day not in self.excluded_dates:
                return found
            while (following := day + _DAY) in self.excluded_dates and following < date.max:
                day = following
            instant = max(found, self._last_instant(day))
            found = self.inner.next_after(instant)
        return None

    def _next_of(self, inner: WallClockRule, instant: datetime) -> datetime | None:
        """``next_after`` in whole seconds: a calendar of holidays may hold many dates of a rule in a row."""
        after = seconds_of(instant)
        while True:
            fire = inner.fire_after(after)
            found = None if fire is None else instant_of(fire.instant)
            if fire is None or found is None or (self.end_before is not None and found >= self.end_before):
                return None
            day = fire.wall // DAY
            if day not in self._excluded:
                return found
            while day + 1 in self._excluded:
                day += 1
            after = max(fire.instant, inner.clock.first_pass((day + 1) * DAY) - 1)

    def describe(self) -> str:
        parts = [self.inner.describe()]
        if self.start_after is not None:
            parts.append(f"after {self.start_after:%Y-%m-%d %H:%M:%S} UTC")
        if self.end_before is not None:
            parts.append(f"before {self.end_before:%Y-%m-%d %H:%M:%S} UTC")
        if self.excluded_dates:
            parts.append("except on " + ", ".join(day.isoformat() for day in sorted(self.excluded_dates)))
        return ", ".join(parts)

    def explain(self, after: datetime, count: int = 5) -> Explanation:
        inner = self.inner.explain(after, 0)
        occurrences: list[Occurrence] = []
        if self.start_after is not None and after < self.start_after:
            after = self.start_after
        shown = 0
        while shown < count and len(occurrences) < MOST_EXPLAINED:
            found = self.inner.next_after(after)
            if found is None or (self.end_before is not None and found >= self.end_before):
                break
            *dropped, last = self.inner.explain(after, 1).occurrences
            if self._nominal_date(found, after) in self.excluded_dates:
                last = replace(last, remark="excepted")
            else:
                shown += 1
            occurrences.extend((*dropped, last))
            after = found
        return Explanation(
            inner.kind,
            inner.expression,
            self.describe(),
            inner.time_zone,
            inner.anchor,
            inner.classes,
            inner.warnings,
            tuple(occurrences),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BoundedRecurrence):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        return (self.inner, self.start_after, self.end_before, self.excluded_dates, self._zone)

    def _nominal_date(self, found: datetime, before: datetime) -> date:
        """The local date that was meant, which is another one if a gap at midnight moved the occurrence."""
        nominal = getattr(self.inner, "nominal", None)
        if nominal is not None:
            wall: datetime = nominal(before)
            return wall.date()
        return found.astimezone(zone_of(self._zone)).date()

    def _last_instant(self, day: date) -> datetime:
        """The last microsecond before the end of a local date."""
        midnight = datetime.combine(day + timedelta(days=1), time())
        return instant_of(clock_of(self._zone).first_pass(wall_of(midnight))).astimezone(UTC) - _TICK


def bounded(
    recurrence: Recurrence,
    *,
    start_after: datetime | None = None,
    end_before: datetime | None = None,
    excluded_dates: Iterable[date] = (),
    time_zone: str | None = None,
) -> Recurrence:
    """A recurrence as its schedule bounds it; the recurrence itself if it does not.

    ``excluded_dates`` are local dates of the recurrence's zone; ``time_zone`` is that zone for a recurrence
    that has none. Naive bounds are a ``TypeError``::

        bounded(cron("0 9 * * *"), excluded_dates=[date(2026, 12, 25)])
    """
    given = checked_zone(time_zone)
    dates = frozenset(excluded_dates)
    start_after = checked_bound(start_after, "start_after")
    end_before = checked_bound(end_before, "end_before")
    if start_after is None and end_before is None and not dates:
        return recurrence
    zone = recurrence.time_zone
    named = given if zone is None else getattr(recurrence, "named_zone", zone)
    return BoundedRecurrence(recurrence, start_after, end_before, dates, zone or given or "UTC", named)
