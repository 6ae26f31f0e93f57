"""Rows of new jobs for PostgreSQL's COPY in its binary form, a job at a time.

The driver looks up a dumper for each of thirteen values of a row; most of them are the same in every row of a
bulk, and half of them ``NULL``. Format: PostgreSQL's documentation of COPY, "Binary Format".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from ..domain.alike import AlikeJobs
from ..domain.job import NewJob
from .newjobs import is_bare, options_of, same_kind
from .pgarrays import NULL, bigint_cell, instant_cell, int_cell, size, smallint_cell, text_cell
from .pgstatements import COPY

__all__ = ["blocks"]

_HEAD = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_END = struct.pack(">h", -1)
_ROW = struct.pack(">hi", len(COPY), 16)
"""How many values follow, and how long the id is."""
_CELLS: tuple[Callable[[Any], bytes], ...] = (
    text_cell,
    bigint_cell,
    int_cell,
    text_cell,
    text_cell,
    instant_cell,
)
_BARE = NULL * len(_CELLS)
"""The end of a row without options."""
_BLOCK = 32 * 1024
"""Bytes from which on they are sent, while the server takes in those before."""


def blocks(jobs: Sequence[NewJob], now: datetime) -> Iterator[bytes]:
    """What COPY reads, in pieces; the columns are those of ``COPY``. Due times count from ``now``.

    Raises ``UnicodeEncodeError`` for lone surrogates.
    """
    parts, length = [_HEAD], 0
    for row in _alike(jobs, now) if isinstance(jobs, AlikeJobs) else _rows(jobs, now):
        parts += row
        length += len(row[2]) + len(row[4]) + len(row[5])
        if length >= _BLOCK:
            yield b"".join(parts)
            parts, length = [], 0
    parts.append(_END)
    yield b"".join(parts)


def _rows(jobs: Sequence[NewJob], now: datetime) -> Iterator[tuple[bytes, ...]]:
    present = instant_cell(now)
    before: NewJob | None = None
    kind = b""
    for job in jobs:
        if before is None or not same_kind(job, before):
            kind = _kind(job)
            before = job
        due = present
        if job.run_at is not None or job.delay:
            due = instant_cell(job.run_at or now + job.delay)
        data = job.data.encode()
        yield _ROW, job.id.int.to_bytes(16, "big"), kind + due + present, size(len(data)), data, _rest(job)


def _alike(jobs: AlikeJobs, now: datetime) -> Iterator[tuple[bytes, ...]]:
    present = instant_cell(now)
    middle, rest = _kind(jobs.like) + present + present, _rest(jobs.like)
    for number, text in zip(jobs.numbers, jobs.texts, strict=True):
        data = text.encode()
        yield _ROW, number.to_bytes(16, "big"), middle, size(len(data)), data, rest


def _kind(job: NewJob) -> bytes:
    return text_cell(job.definition_id) + text_cell(job.lane) + smallint_cell(job.priority)


def _rest(job: NewJob) -> bytes:
    """From ``metadata`` on."""
    if is_bare(job):
        return _BARE
    values = zip(options_of(job), _CELLS, strict=True)
    return b"".join([NULL if value is None else cell(value) for value, cell in values])
