"""Claimed jobs from rows of plain values: ids as 16 bytes, instants as microseconds since 1970."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ..domain.ids import uuid_of
from ..domain.job import ClaimedJob
from .tables import from_micros

__all__ = ["CLAIMED_COLUMNS", "claimed_job", "raw_uuid"]

CLAIMED_COLUMNS = (
    "id, bucket_id, claim_no, definition_id, lane, priority, run_at, enqueued_at, attempt, failures, losses, "
    "recheck, cancel_requested_at, data, metadata, timeout_ms, max_retries, retry, unknown_since, "
    "schedule_id, occurrence_at"
)
"""The fields of ``ClaimedJob`` in its order."""

_new_tuple = tuple.__new__
_SELDOM = (18, 20)
"""Places of the instants in it that are mostly ``NULL``."""


def raw_uuid(raw: bytes) -> UUID:
    """The UUID of 16 bytes."""
    return uuid_of(int.from_bytes(raw, "big"))


def claimed_job(row: Sequence[Any], bucket: UUID, job_id: UUID | None = None) -> ClaimedJob:
    """A job from a row of :data:`CLAIMED_COLUMNS`, in this bucket; ``job_id`` unless the row holds it raw."""
    values = list(row)
    values[0] = raw_uuid(row[0]) if job_id is None else job_id
    values[1] = bucket
    values[6] = from_micros(row[6])
    values[7] = values[6] if row[7] == row[6] else from_micros(row[7])
    values[11] = row[11] != 0
    values[12] = row[12] is not None
    for place in _SELDOM:
        if row[place] is not None:
            values[place] = from_micros(row[place])
    return _new_tuple(ClaimedJob, values)
