"""Which occurrences of a schedule are to run now, and which are not: pure verdicts, written down later."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from .schedule import MisfirePolicy, OverlapPolicy

__all__ = [
    "Admission",
    "Due",
    "Misfire",
    "Reach",
    "Stretch",
    "admit",
    "jitter_of",
    "reach",
]

NextAfter = Callable[[datetime], datetime | None]

_TICK = timedelta(microseconds=1)
MOST_DUE = 1000
"""Occurrences within the grace that one pass takes; the next pass takes more."""
MOST_COUNTED = 20_000
"""Missed occurrences of a schedule that one pass counts. When there are more, the count says this."""
MOST_TOO_OLD = 1000
"""The same for those older than the catch-up window."""


class Due(NamedTuple):
    """An occurrence that is to run. ``missed_count``: how many missed occurrences it stands for."""

    at: datetime
    is_catchup: bool = False
    missed_count: int = 0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Occurrences in a row that are not run: how many at least, the first and the last."""

    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Misfire:
    """What a schedule says about occurrences that come late."""

    policy: MisfirePolicy
    grace: timedelta
    cap: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class Reach:
    """What is due of one schedule."""

    due: tuple[Due, ...]
    """In order."""
    missed: Stretch | None
    cursor: datetime
    """Everything up to here is decided."""
    next_at: datetime | None
    """The next occurrence to decide; ``None`` when there is none. Not later than now if more are due."""


def reach(next_after: NextAfter, cursor: datetime, now: datetime, misfire: Misfire) -> Reach:
    """What is due after ``cursor``, up to and including ``now``.

    An occurrence that is late by no more than the grace is due as itself. Older ones are missed: the policy
    says what becomes of those within the catch-up window, and of those before it none is run. The search
    jumps to the window's edge; no occurrence before it costs more than being counted, up to a bound.
    """
    first = next_after(cursor)
    if first is None or first > now:
        return Reach((), None, cursor, first)
    punctual = now - misfire.grace
    edge = min(now - misfire.window, punctual)
    too_old: Stretch | None = None
    found: datetime | None = first
    if first < edge:
        too_old = _counted(next_after, first, edge, MOST_TOO_OLD)
        found = next_after(edge - _TICK)
    late: list[datetime] = []
    missed: Stretch | None = None
    if found is not None and found < punctual:
        missed, late = _late(next_after, found, punctual, misfire)
        found = next_after(punctual - _TICK)
    on_time: list[Due] = []
    while found is not None and found <= now and len(on_time) < MOST_DUE:
        on_time.append(Due(found))
        found = next_after(found)
    more = found is not None and found <= now
    due, not_run = _verdict(misfire.policy, late, missed, on_time)
    decided = on_time[-1].at if more else now
    return Reach(due, _joined(too_old, not_run), decided, found)


def _verdict(
    policy: MisfirePolicy, late: list[datetime], missed: Stretch | None, on_time: list[Due]
) -> tuple[tuple[Due, ...], Stretch | None]:
    """What runs, and what of the missed does not."""
    if missed is None or policy is MisfirePolicy.SKIP:
        return tuple(on_time), missed
    if policy is MisfirePolicy.FIRE_ALL:
        runs = [Due(at, True, 1) for at in late]
        left = missed.count - len(runs)
        return (*runs, *on_time), replace(missed, count=left) if left else None
    if on_time:
        first = on_time[0]._replace(missed_count=missed.count)
        return (first, *on_time[1:]), missed
    left = missed.count - 1
    return (Due(missed.last, True, missed.count),), replace(missed, count=left) if left else None


def _late(
    next_after: NextAfter, first: datetime, end: datetime, misfire: Misfire
) -> tuple[Stretch, list[datetime]]:
    """The missed occurrences from ``first`` on and before ``end``, and the newest of them, oldest first."""
    keep = misfire.cap if misfire.policy is MisfirePolicy.FIRE_ALL else 1
    newest: deque[datetime] = deque(maxlen=keep)
    count, found = 0, first
    while count < MOST_COUNTED:
        newest.append(found)
        count += 1
        following = next_after(found)
        if following is None or following >= end:
            return Stretch(count, first, newest[-1]), list(newest)
        found = following
    kept = _newest(next_after, first, end, keep)
    return Stretch(count, first, kept[-1]), kept


def _newest(next_after: NextAfter, first: datetime, end: datetime, keep: int) -> list[datetime]:
    """The last ``keep`` occurrences before ``end``, none before ``first``: looked for ever further back."""
    back = timedelta(seconds=1)
    while True:
        start = max(first, end - back)
        newest: deque[datetime] = deque(maxlen=keep)
        found = next_after(start - _TICK)
        while found is not None and found < end:
            newest.append(found)
            found = next_after(found)
        if len(newest) == keep or start == first:
            return list(newest)
        back *= 2


def _counted(next_after: NextAfter, first: datetime, end: datetime, most: int) -> Stretch:
    """The occurrences from ``first`` on and before ``end``, counted up to ``most``."""
    count, last = 1, first
    found = next_after(first)
    while found is not None and found < end and count < most:
        count, last = count + 1, found
        found = next_after(found)
    if found is not None and found < end:
        last = _newest(next_after, first, end, 1)[-1]
    return Stretch(count, first, last)


def _joined(one: Stretch | None, other: Stretch | None) -> Stretch | None:
    if one is None or other is None:
        return one or other
    return Stretch(one.count + other.count, one.first, other.last)


@dataclass(frozen=True, slots=True)
class Admission:
    """What the overlap policy makes of occurrences that are due."""

    start: tuple[Due, ...] = ()
    """Run now."""
    wait: tuple[Due, ...] = ()
    """Run when those before them have ended."""
    skipped: int = 0
    release: int = 0
    """So many of those that wait already run now, the oldest first."""
    drop: bool = False
    """Those that wait already are given up, but for those that are owed."""
    cancel: bool = False
    """The live runs are asked to stop, but for those that are owed."""


def admit(
    policy: OverlapPolicy,
    limit: int,
    live: int,
    waiting: int,
    due: Sequence[Due],
    catch_up: bool,
    owed: int = 0,
) -> Admission:
    """Decide between ``live`` runs of a schedule, the ``waiting`` ones behind them and what is due.

    ``catch_up``: occurrences that make up for missed ones are all to run (``fire_all``, backfill). Unless
    runs may overlap they then wait for their turn, whatever the policy, so that each runs and no two at once.
    ``owed``: so many of those that wait are of that sort, and are given up for no other.
    """
    if policy is OverlapPolicy.CANCEL_OTHER:
        return _newest_wins(live, waiting, owed, due, catch_up)
    if policy is OverlapPolicy.ALLOW:
        return Admission(start=tuple(due), release=waiting)
    release = 1 if live == 0 and waiting else 0
    live, waiting = live + release, waiting - release
    start: list[Due] = []
    wait: list[Due] = []
    skipped = 0
    for one in due:
        queued = waiting + len(wait)
        if live + queued + len(start) == 0:
            start.append(one)
        elif (catch_up and one.is_catchup) or queued < _room(policy, limit):
            wait.append(one)
        else:
            skipped += 1
    return Admission(tuple(start), tuple(wait), skipped, release)


def _newest_wins(live: int, waiting: int, owed: int, due: Sequence[Due], catch_up: bool) -> Admission:
    """``cancel_other``: of those that are not owed one waits at most, and the live runs make way for it.

    That is asked for as long as it waits, since nobody knows whether the live runs have heard. While owed
    ones wait the live run ends in its own time: the newest comes after them.
    """
    release = 1 if live == 0 and waiting else 0
    waiting -= release
    owed = min(owed, waiting)
    passing, dropped = waiting - owed, 0
    start: Due | None = None
    kept: list[Due] = []
    newest: Due | None = None
    skipped = 0
    for one in due:
        is_owed = catch_up and one.is_catchup
        if live + release + waiting + len(kept) == 0 and start is None:
            start = one
        elif is_owed:
            kept.append(one)
        else:
            skipped += passing + (newest is not None)
            dropped, passing, newest = dropped + passing, 0, one
            if start is not None and not kept and not (catch_up and start.is_catchup):
                start, newest, skipped = one, None, skipped + 1
    wait = kept if newest is None else sorted([*kept, newest])
    cancel = live > 0 and owed == 0 and not kept and (passing > 0 or newest is not None)
    return Admission(() if start is None else (start,), tuple(wait), skipped, release, dropped > 0, cancel)


def _room(policy: OverlapPolicy, limit: int) -> int:
    match policy:
        case OverlapPolicy.BUFFER_ONE:
            return 1
        case OverlapPolicy.BUFFER_ALL:
            return limit
        case _:
            return 0


def jitter_of(schedule_id: str, jitter: timedelta | None) -> timedelta:
    """By how much a schedule's runs start after their instants: fixed for the schedule, below ``jitter``."""
    if not jitter:
        return timedelta(0)
    share = int.from_bytes(sha256(schedule_id.encode()).digest()[:8], "big")
    return timedelta(microseconds=share * (jitter // _TICK) >> 64)
