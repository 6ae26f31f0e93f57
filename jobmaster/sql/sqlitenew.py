"""New jobs as rows for SQLite's ``enqueue`` statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..domain.alike import AlikeJobs
from ..domain.job import NewJob
from .newjobs import delay_micros, is_bare, options_of
from .tables import to_micros

__all__ = ["alike", "rows"]

_BARE = (None, None, None, None, None, None, 0)
"""The end of a row without options."""


def rows(jobs: Sequence[NewJob], now: int) -> list[tuple[Any, ...]]:
    """The parameters for each job. Due times count from ``now``, in microseconds since 1970."""
    made: list[tuple[Any, ...]] = []
    for job in jobs:
        key = job.id.int.to_bytes(16, "big")
        rest = _BARE if is_bare(job) else _rest(job)
        made.append((key, job.definition_id, job.lane, job.priority, _due(job, now), now, job.data, *rest))
    return made


def alike(jobs: AlikeJobs, now: int) -> list[tuple[Any, ...]]:
    """The same, with what they share made once."""
    definition_id, lane, priority = jobs.like.definition_id, jobs.like.lane, jobs.like.priority
    metadata, timeout, max_retries, retry, schedule_id, occurrence_at, recheck = _rest(jobs.like)
    return [
        (
            number.to_bytes(16, "big"),
            definition_id,
            lane,
            priority,
            now,
            now,
            text,
            metadata,
            timeout,
            max_retries,
            retry,
            schedule_id,
            occurrence_at,
            recheck,
        )
        for number, text in zip(jobs.numbers, jobs.texts, strict=True)
    ]


def _rest(job: NewJob) -> tuple[Any, ...]:
    """From ``metadata`` on."""
    metadata, timeout_ms, max_retries, retry, schedule_id, occurrence_at = options_of(job)
    at = None if occurrence_at is None else to_micros(occurrence_at)
    return metadata, timeout_ms, max_retries, retry, schedule_id, at, int(job.recheck)


def _due(job: NewJob, now: int) -> int:
    if job.run_at is not None:
        return to_micros(job.run_at)
    return now + delay_micros(job.delay) if job.delay else now
