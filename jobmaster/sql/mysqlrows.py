"""Rows and lists as text of a statement, and rows as they come back.

pymysql writes every parameter into the statement itself, so nothing is lost by doing it here, a row at a
time: jobs of 100 bytes in portions of 250 went into a MariaDB at 175,000 a second as ``VALUES`` written here,
128,000 with ``executemany``, 108,000 through ``JSON_TABLE``. Ids travel as figures, which need no quoting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pymysql.converters import escape_string

from ..domain.job import ClaimedJob
from ..domain.verdict import StateChange
from .tables import from_micros, to_micros

__all__ = [
    "CHUNK",
    "CHUNK_LENGTH",
    "as_selects",
    "as_values",
    "chunks",
    "claimed_job",
    "literal",
    "literals",
    "success",
    "uuid_of",
]

CHUNK = 500
"""Rows in one statement."""
CHUNK_LENGTH = 1_000_000
"""Characters of rows from which a statement takes no more of them: far below the 16 MB that a server
accepts."""


def literal(value: Any) -> str:
    """A value as the server reads it, in a session with the SQL mode of this library."""
    if value is None:
        return "NULL"
    kind = type(value)
    if kind is str:
        return "'" + escape_string(value) + "'"
    if kind is UUID:
        return f"x'{value.hex}'"
    if isinstance(value, datetime):
        return str(to_micros(value))
    if isinstance(value, (int, float)):
        # bool and the enumerations of numbers too
        return repr(value + 0)
    if isinstance(value, (bytes, bytearray)):
        return f"x'{value.hex()}'"
    return "'" + escape_string(str(value)) + "'"


def literals(values: Iterable[Any]) -> str:
    """A list for ``IN (…)``; without values one that holds nothing."""
    return ", ".join(map(literal, values)) or "NULL"


def as_values(rows: Iterable[Sequence[Any]]) -> str:
    """Rows for ``VALUES``."""
    return ", ".join([f"({', '.join(map(literal, row))})" for row in rows])


def as_selects(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as a query with these columns. Every server knows this form; that of ``VALUES`` in a query
    differs."""
    first = ", ".join(f"{literal(value)} AS {name}" for name, value in zip(columns, rows[0], strict=True))
    return " UNION ALL SELECT ".join([f"SELECT {first}", *[", ".join(map(literal, row)) for row in rows[1:]]])


def chunks(rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    """Rows in portions that a single statement may carry."""
    begin = length = 0
    for place, row in enumerate(rows):
        here = sum(len(value) for value in row if type(value) is str)
        if place > begin and (place - begin >= CHUNK or length + here > CHUNK_LENGTH):
            yield rows[begin:place]
            begin, length = place, 0
        length += here
    if begin < len(rows):
        yield rows[begin:]


_new_uuid, _set, _is_safe = UUID.__new__, object.__setattr__, UUID(int=0).is_safe
_to_int: Callable[[bytes, Any], int] = int.from_bytes


def uuid_of(raw: bytes) -> UUID:
    """``UUID(bytes=raw)``, without its checks of arguments: a claim makes one per job."""
    value = _new_uuid(UUID)
    _set(value, "int", _to_int(raw, "big"))
    _set(value, "is_safe", _is_safe)
    return value


def success(change: StateChange) -> tuple[Any, ...]:
    """A plain success as a row of ``SUCCESS``."""
    job = change.job
    return (
        job.id,
        job.bucket_id,
        job.claim_no,
        change.attempt,
        change.started_at,
        change.finished_at,
        change.result,
        change.worker_id,
    )


def claimed_job(row: Sequence[Any], bucket: UUID, claim_no: int) -> ClaimedJob:
    """A row of ``CLAIMED_COLUMNS`` as claimed into ``bucket`` under ``claim_no``."""
    return ClaimedJob(
        uuid_of(row[0]),
        bucket,
        claim_no,
        row[3],
        row[4],
        row[5],
        from_micros(row[6]),
        from_micros(row[7]),
        row[8],
        row[9],
        row[10],
        row[11] != 0,
        row[12] is not None,
        row[13],
        row[14],
        row[15],
        row[16],
        row[17],
        None if row[18] is None else from_micros(row[18]),
        row[19],
        None if row[20] is None else from_micros(row[20]),
    )
