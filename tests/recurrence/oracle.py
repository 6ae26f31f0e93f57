"""The rules for cron and for windows, told second by second: slow, obvious, and no code of the library."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

SECOND = timedelta(seconds=1)


def local(instant: datetime, zone: str) -> datetime:
    """The wall time, naive."""
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@dataclass(frozen=True)
class PlainCron:
    """A cron expression by its sets; ``text`` is the same for the library."""

    text: str
    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: Callable[[date], bool]
    interval_like: bool

    def wall(self, at: datetime) -> bool:
        return (
            at.second in self.seconds
            and at.minute in self.minutes
            and at.hour in self.hours
            and self.days(at.date())
        )

    def fires(self, start: datetime, end: datetime, zone: str) -> Iterator[datetime]:
        """Every fire from ``start`` (not included) to ``end``, found by looking at every second."""
        instant = start
        before = instant.astimezone(ZoneInfo(zone)).utcoffset()
        while instant < end:
            instant += SECOND
            here = instant.astimezone(ZoneInfo(zone))
            offset = here.utcoffset()
            assert offset is not None
            assert before is not None
            wall = here.replace(tzinfo=None, fold=0)
            if self.wall(wall) and (self.interval_like or not here.fold):
                yield instant
            elif offset > before and len(self.hours) < 24:
                skipped = wall - (offset - before)
                while skipped < wall:
                    if self.wall(skipped):
                        yield instant
                        break
                    skipped += SECOND
            before = offset


def nearest_workday(day: date) -> date:
    """The Monday-to-Friday day nearest to a date, inside its month."""
    length = monthrange(day.year, day.month)[1]
    candidates = [
        date(day.year, day.month, number)
        for number in range(1, length + 1)
        if date(day.year, day.month, number).weekday() < 5
    ]
    return min(candidates, key=lambda one: (abs((one - day).days), one.day))


def stretches(
    start: datetime, end: datetime, step: int, zone: str, inside: Callable[[datetime], bool]
) -> Iterator[datetime]:
    """``every step seconds`` inside the stretches of real time whose wall clock satisfies ``inside``.

    From ``start``, the anchor, which counts if it is inside itself.
    """
    begin: datetime | None = None
    instant = start
    while instant <= end:
        if not inside(local(instant, zone)):
            begin = None
        else:
            if begin is None:
                begin = instant
            if (instant - begin).total_seconds() % step == 0:
                yield instant
        instant += SECOND


def utc(*fields: int) -> datetime:
    return datetime(*fields, tzinfo=UTC)  # type: ignore[arg-type, misc]
