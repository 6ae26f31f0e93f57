"""New jobs as rows for SQLite's ``enqueue`` statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..domain.alike import AlikeJobs
from ..domain.job import NewJob
from .newjobs import delay_micros, options_of
from .tables import to_micros

__all__ = ["alike", "rows"]


def rows(jobs: Sequence[NewJob], now: int) -> list[tuple[Any, ...]]:
    """The parameters for each job. Due times count from ``now``, in microseconds since 1970."""
    return [(job.id.bytes, *_kind(job), _due(job, now), now, job.data, *_rest(job)) for job in jobs]


def alike(jobs: AlikeJobs, now: int) -> list[tuple[Any, ...]]:
    """The same, with what they share made once."""
    definition_id, lane, priority = _kind(jobs.like)
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


def _kind(job: NewJob) -> tuple[str, str, int]:
    return job.definition_id, job.lane, job.priority


def _rest(job: NewJob) -> tuple[Any, ...]:
    """From ``metadata`` on."""
    metadata, timeout_ms, max_retries, retry, schedule_id, occurrence_at = options_of(job)
    at = None if occurrence_at is None else to_micros(occurrence_at)
    return metadata, timeout_ms, max_retries, retry, schedule_id, at, int(job.recheck)


def _due(job: NewJob, now: int) -> int:
    if job.run_at is not None:
        return to_micros(job.run_at)
    return now + delay_micros(job.delay) if job.delay else now
