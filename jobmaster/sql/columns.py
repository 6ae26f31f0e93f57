"""Columns that several statements share, in one order."""

from __future__ import annotations

__all__ = ["CLAIMABLE", "COPY_COLUMNS", "ENDED_COLUMNS", "FACTS"]

FACTS = (
    "definition_id, lane, priority, run_at, enqueued_at, claim_no, attempt, failures, losses, placement, "
    "data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at"
)
"""Copied between ``job`` and ``history`` unchanged, beside the id and the counters that change."""

_TRAVELS = "started_at, error_type, error_message, error_traceback"
COPY_COLUMNS = f"id, {FACTS}, {_TRAVELS}, agent, unknown_since"
"""The columns of a row of ``job`` from which a ``JobCopy`` is made, in order."""
ENDED_COLUMNS = f"id, {FACTS}, {_TRAVELS}, status, finished_at, result, worker_id"
"""The columns of a row of ``history`` from which an ``EndedJob`` is made, in order."""

CLAIMABLE = "lane = :lane AND priority = {} AND bucket_id IS NULL"
"""What the ready index holds, for one priority."""
