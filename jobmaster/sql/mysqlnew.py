"""New jobs as rows of an ``INSERT``, a job at a time: what all jobs of a bulk share is written once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pymysql.converters import escape_string

from ..domain.alike import AlikeJobs
from ..domain.job import NewJob
from .mysqlrows import CHUNK, CHUNK_LENGTH, literals
from .newjobs import delay_micros, is_bare, options_of, same_kind
from .tables import to_micros

__all__ = ["portions", "quoted"]

_BARE = "NULL, NULL, NULL, NULL, NULL, NULL, 0)"
"""The end of a row without options."""


def portions(jobs: Sequence[NewJob], now: int) -> Iterator[str]:
    """Rows for ``VALUES`` of ``ENQUEUE_COLUMNS``, as many as one statement may carry. Due times count from
    ``now``, in microseconds since 1970."""
    rows: list[str] = []
    length = 0
    for row in _alike(jobs, now) if isinstance(jobs, AlikeJobs) else _rows(jobs, now):
        if rows and (len(rows) == CHUNK or length + len(row) > CHUNK_LENGTH):
            yield ", ".join(rows)
            rows, length = [], 0
        rows.append(row)
        length += len(row)
    if rows:
        yield ", ".join(rows)


def _rows(jobs: Sequence[NewJob], now: int) -> Iterator[str]:
    before: NewJob | None = None
    kind = ""
    for job in jobs:
        if before is None or not same_kind(job, before):
            kind = _kind(job)
            before = job
        due = now
        if job.run_at is not None:
            due = to_micros(job.run_at)
        elif job.delay:
            due = now + delay_micros(job.delay)
        yield f"(x'{job.id.hex}', {kind}, {due}, {now}, {quoted(job.data)}, {_rest(job)}"


def _alike(jobs: AlikeJobs, now: int) -> Iterator[str]:
    middle, rest = f"{_kind(jobs.like)}, {now}, {now}", _rest(jobs.like)
    for number, text in zip(jobs.numbers, jobs.texts, strict=True):
        yield f"(x'{number:032x}', {middle}, {quoted(text)}, {rest}"


def _kind(job: NewJob) -> str:
    return literals((job.definition_id, job.lane, job.priority))


def quoted(text: str) -> str:
    """JSON text, in which every control character is escaped already."""
    return f"'{text}'" if "'" not in text and "\\" not in text else f"'{escape_string(text)}'"


def _rest(job: NewJob) -> str:
    """From ``metadata`` on."""
    if is_bare(job):
        return _BARE
    return f"{literals((*options_of(job), job.recheck))})"
