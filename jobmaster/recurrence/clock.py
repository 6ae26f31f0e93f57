"""The wall clock of a zone as arithmetic on whole seconds.

Instants are seconds since 1970-01-01T00:00:00Z; wall seconds are the same count as if the wall clock showed
UTC. A *segment* is a stretch of instants in which the zone's offset does not change, so inside it the two
differ by a constant; every rule about gaps and overlaps is a rule about the border of two segments.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from .zones import zone_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400
EPOCH_ORDINAL = EPOCH.toordinal()
FIRST_INSTANT = -62_135_596_800 + 2 * DAY
"""Two days into the year 1: no offset leads out of the calendar from here on."""
LAST_INSTANT = 253_402_300_799 - 2 * DAY
FIRST_START, LAST_START = 2, 9998
"""The years in which something may begin: no offset and no step leads out of the calendar from there."""
WIDEST_CHANGE = 2 * DAY
"""More than any clock change, and more than any offset."""

_CHUNK_BITS = 25  # 388 days: what one look at the tz data covers
_PROBE = 2 * DAY  # no two changes of the tz data that cancel each other are as close as this
_CHUNKS_KEPT = 256


class Segment(NamedTuple):
    """A stretch of instants with one offset; ``before`` is the offset up to ``start``."""

    start: int
    end: int
    offset: int
    before: int


_WHOLE = Segment(FIRST_INSTANT, LAST_INSTANT + 1, 0, 0)


class Clock:
    """The segments of one zone, found by asking the zone for its offset, and kept.

    Nothing but tz data is kept, so sharing a clock between threads changes no answer.
    """

    __slots__ = ("_chunks", "_epoch", "_zone", "fixed")

    def __init__(self, zone: str) -> None:
        self._zone = zone_of(zone)
        self._epoch = EPOCH.replace(tzinfo=self._zone)
        self._chunks: dict[int, tuple[list[int], list[Segment]]] = {}
        self.fixed = zone == "UTC"

    def segment(self, instant: int) -> Segment:
        """The segment that holds an instant; it may be cut where a look at the tz data ended."""
        if self.fixed:
            return _WHOLE
        instant = min(max(instant, FIRST_INSTANT), LAST_INSTANT)
        chunk = instant >> _CHUNK_BITS
        known = self._chunks.get(chunk)
        if known is None:
            if len(self._chunks) >= _CHUNKS_KEPT:
                self._chunks.clear()
            known = self._chunks[chunk] = self._look(chunk)
        starts, segments = known
        return segments[bisect_right(starts, instant) - 1]

    def offset(self, instant: int) -> int:
        """Seconds by which the wall clock is ahead of UTC."""
        return self.segment(instant).offset

    def wall(self, instant: int) -> int:
        return instant + self.segment(instant).offset

    def instants(self, wall: int) -> tuple[int, ...]:
        """The instants at which the clock shows a wall second, in order: none in a gap, two in an overlap."""
        found = []
        instant = wall - WIDEST_CHANGE // 2
        last = wall + WIDEST_CHANGE // 2
        while instant <= last and instant <= LAST_INSTANT:
            segment = self.segment(instant)
            candidate = wall - segment.offset
            if segment.start <= candidate < segment.end:
                found.append(candidate)
            instant = segment.end
        return tuple(found)

    def first_pass(self, wall: int) -> int:
        """The first instant that shows a wall second; in a gap, the first valid instant after it."""
        found = self.instants(wall)
        return found[0] if found else self.gap_end(wall)

    def last_pass(self, wall: int) -> int:
        """The last instant that shows a wall second; in a gap, the first valid instant after it."""
        found = self.instants(wall)
        return found[-1] if found else self.gap_end(wall)

    def gap_end(self, wall: int) -> int:
        """The instant at which the gap that swallowed a wall second ends."""
        segment = self.segment(wall - WIDEST_CHANGE // 2)
        while segment.end + self.segment(segment.end).offset <= wall and segment.end <= LAST_INSTANT:
            segment = self.segment(segment.end)
        return segment.end

    def before_gap(self, wall: int) -> int:
        """The first instant that shows a wall second, one in a gap being read with the offset before it."""
        found = self.instants(wall)
        return found[0] if found else wall - self.segment(self.gap_end(wall) - 1).offset

    def _look(self, chunk: int) -> tuple[list[int], list[Segment]]:
        start = chunk << _CHUNK_BITS
        end = start + (1 << _CHUNK_BITS)
        segments = []
        low = start
        before = self._ask(start - 1)
        offset = self._ask(start)
        probe = start
        while (upto := self._last_alike(probe, end, offset)) < end:
            change = self._change(upto, min(upto + _PROBE, end - 1), offset)
            segments.append(Segment(low, change, offset, before))
            low, before = change, offset
            offset = self._ask(change)
            probe = change
        segments.append(Segment(low, end, offset, before))
        return [segment.start for segment in segments], segments

    def _last_alike(self, probe: int, end: int, offset: int) -> int:
        """The last instant that was probed, from ``probe`` on, before one of another offset; ``end`` if there
        is none."""
        if probe < FIRST_INSTANT or end > LAST_INSTANT:
            while probe < end - 1:
                upto = min(probe + _PROBE, end - 1)
                if self._ask(upto) != offset:
                    return probe
                probe = upto
            return end
        fromutc = self._zone.fromutc
        utc = self._epoch + timedelta(seconds=probe)
        alike = timedelta(seconds=offset)
        step = timedelta(seconds=_PROBE)
        for upto in range(probe + _PROBE, end - 1, _PROBE):
            utc += step
            if fromutc(utc) - utc != alike:
                return upto - _PROBE
            probe = upto
        return probe if self._ask(end - 1) != offset else end

    def _change(self, low: int, high: int, offset: int) -> int:
        """The first instant after ``low`` whose offset is not ``offset``; ``high`` is known to be one."""
        while high - low > 1:
            middle = (low + high) // 2
            if self._ask(middle) == offset:
                low = middle
            else:
                high = middle
        return high

    def _ask(self, instant: int) -> int:
        instant = min(max(instant, FIRST_INSTANT), LAST_INSTANT)
        utc = self._epoch + timedelta(seconds=instant)
        difference = self._zone.fromutc(utc) - utc  # of the same zone, so of what the clocks show
        return difference.days * DAY + difference.seconds


@lru_cache(maxsize=64)
def clock_of(zone: str) -> Clock:
    """The clock of a zone; one per zone, because every recurrence of a zone asks the same questions."""
    return Clock(zone)


def seconds_of(instant: datetime) -> int:
    """Whole seconds since 1970 of an aware ``datetime``, rounded down."""
    since = instant - EPOCH
    return since.days * DAY + since.seconds


def micros_of(instant: datetime) -> int:
    since = instant - EPOCH
    return (since.days * DAY + since.seconds) * 1_000_000 + since.microseconds


def instant_of(seconds: int) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def naive_of(wall: int) -> datetime:
    """The wall second as a naive ``datetime``."""
    return datetime(1970, 1, 1) + timedelta(seconds=wall)  # noqa: DTZ001 - a wall time has no zone


def wall_of(naive: datetime) -> int:
    return (naive.toordinal() - EPOCH_ORDINAL) * DAY + naive.hour * 3600 + naive.minute * 60 + naive.second


def require_aware(instant: datetime) -> None:
    """Raise the ``TypeError`` that the contract of ``next_after`` promises for a naive ``datetime``."""
    if instant.tzinfo is None or instant.utcoffset() is None:
        raise TypeError(f"an aware datetime is needed, {instant!r} is naive")
