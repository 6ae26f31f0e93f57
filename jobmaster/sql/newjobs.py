"""New jobs as columns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from ..domain.alike import kinds_of
from ..domain.copies import JobCopy
from ..domain.job import NewJob

__all__ = [
    "delay_micros",
    "is_bare",
    "key_hash",
    "lanes_of",
    "lanes_to_wake",
    "millis",
    "options_of",
    "same_kind",
    "split_delay",
]

_NOW = timedelta(0)
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


def same_kind(job: NewJob, other: NewJob) -> bool:
    """Whether definition, lane and priority are the very same, as they mostly are throughout a bulk. It may
    not be seen: then what they share is made once more."""
    return (
        job.definition_id is other.definition_id and job.lane is other.lane and job.priority == other.priority
    )


def options_of(
    job: NewJob,
) -> tuple[str | None, int | None, int | None, str | None, str | None, datetime | None]:
    """What most jobs lack, as columns in their order: from ``metadata`` to ``occurrence_at``."""
    return (
        job.metadata,
        millis(job.timeout),
        job.max_retries,
        job.retry,
        job.schedule_id,
        job.occurrence_at,
    )


def is_bare(job: NewJob) -> bool:
    """Whether it has none of :func:`options_of`, and is not enqueued again; seen without making them."""
    return (
        job.metadata is None
        and job.timeout is None
        and job.max_retries is None
        and job.retry is None
        and job.schedule_id is None
        and job.occurrence_at is None
        and not job.recheck
    )


def key_hash(unique_key: str) -> bytes:
    """What the unique index holds: SHA-256, so that long keys cost no index space."""
    return hashlib.sha256(unique_key.encode()).digest()


def lanes_to_wake(jobs: Sequence[NewJob], now: datetime) -> set[str]:
    """Lanes in which some of these jobs may be due at once, by a clock that need not be the store's."""
    soon = now + timedelta(seconds=1)
    lanes: set[str] = set()
    for job in kinds_of(jobs):
        if job.lane not in lanes and (job.delay <= _NOW if job.run_at is None else job.run_at <= soon):
            lanes.add(job.lane)
    return lanes


def lanes_of(copies: Sequence[JobCopy]) -> set[str]:
    """The lanes of jobs that arrive from another store, all of which may be due by now."""
    return {copy.lane for copy in copies}
