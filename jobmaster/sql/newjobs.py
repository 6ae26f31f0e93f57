"""New jobs as columns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from ..domain.copies import JobCopy
from ..domain.job import NewJob

__all__ = ["delay_micros", "key_hash", "lanes_of", "lanes_to_wake", "millis", "split_delay"]

_MICROSECOND = timedelta(microseconds=1)
_MILLISECOND = timedelta(milliseconds=1)


def millis(duration: timedelta | None) -> int | None:
    """Whole milliseconds."""
    return None if duration is None else duration // _MILLISECOND


def delay_micros(delay: timedelta) -> int:
    """Whole microseconds."""
    return delay // _MICROSECOND


def split_delay(jobs: Sequence[NewJob]) -> tuple[list[int | None], list[datetime | None]]:
    """Delays in microseconds and fixed due times; the store adds the delay to its own present where the
    due time is ``None``."""
    return [delay_micros(job.delay) for job in jobs], [job.run_at for job in jobs]


def key_hash(unique_key: str) -> bytes:
    """What the unique index holds: SHA-256, so that long keys cost no index space."""
    return hashlib.sha256(unique_key.encode()).digest()


def lanes_to_wake(jobs: Sequence[NewJob], now: datetime) -> set[str]:
    """Lanes in which some of these jobs may be due at once, by a clock that need not be the store's."""
    soon = now + timedelta(seconds=1)
    return {
        job.lane for job in jobs if (job.delay <= timedelta(0) if job.run_at is None else job.run_at <= soon)
    }


def lanes_of(copies: Sequence[JobCopy]) -> set[str]:
    """The lanes of jobs that arrive from another store, all of which may be due by now."""
    return {copy.lane for copy in copies}
