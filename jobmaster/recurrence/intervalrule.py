"""Intervals: real time from an anchor, without a wall clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..errors import Problem, RecurrenceSyntaxError
from .clock import EPOCH, micros_of
from .foundation import Rule, checked_anchor, checked_text, checked_zone
from .intervaltext import SECOND, IntervalReader, interval_text

LONGEST = 36_525 * 86_400 * SECOND


class IntervalRule(Rule):
    """``anchor + k * step`` for k = 0, 1, 2, ..., in microseconds."""

    kind = "interval"

    def __init__(self, step: int, anchor: datetime | None) -> None:
        super().__init__(interval_text(step), None, anchor)
        self.step = step
        self._from = None if anchor is None else micros_of(anchor)

    def next_after(self, instant: datetime) -> datetime | None:
        since = micros_of(instant)
        if self._from is None:
            raise ValueError(f"{self.expression!r} needs an anchor: interval(text, anchor=...)")
        if since < self._from:
            return EPOCH + timedelta(microseconds=self._from)
        found = self._from + ((since - self._from) // self.step + 1) * self.step
        try:
            return EPOCH + timedelta(microseconds=found)
        except OverflowError:
            return None  # past the end of the calendar

    def anchored(self, anchor: datetime, time_zone: str | None = None) -> IntervalRule:
        return IntervalRule(self.step, checked_anchor(anchor, whole_seconds=False))

    @property
    def classes(self) -> tuple[str, ...]:
        return ("elapsed",)

    def describe(self) -> str:
        from .description import interval_description

        return interval_description(self.step, self.anchor)


def interval(
    text: str | timedelta, *, time_zone: str | None = None, anchor: datetime | None = None
) -> IntervalRule:
    """Read an interval: ``1d12h``, ``PT5M``, ``00:05:00`` or a ``timedelta``.

    At least one second, at most 36 525 days. A day is 86 400 seconds whatever the clocks do, so a time zone
    is ignored::

        interval(timedelta(minutes=5), anchor=datetime.now(UTC))
    """
    checked_zone(time_zone)
    if isinstance(text, timedelta):
        step = (text.days * 86_400 + text.seconds) * SECOND + text.microseconds
        text = str(text)
    else:
        step = IntervalReader(checked_text(text)).read()
    if not SECOND <= step <= LONGEST:
        message = "an interval is at least one second and at most 36525 days"
        raise RecurrenceSyntaxError(text, [Problem("range", message, 0, len(text), ("1s-36525d",))])
    return IntervalRule(step, checked_anchor(anchor, whole_seconds=False))
