"""The hot statements of SQLite, written by hand. Their parameters are positional: the driver binds those
fastest."""

from __future__ import annotations

from .rawjobs import CLAIMED_COLUMNS

__all__ = ["HOT", "KEYED_INSERT"]

_KEPT = (
    "id, definition_id, lane, priority, run_at, enqueued_at, claim_no, placement, data, content_type, "
    "metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, failures, losses"
)


def _claim(cursor: str) -> str:
    return f"""
UPDATE {{table:job}} SET bucket_id = ?, claim_no = claim_no + 1
WHERE bucket_id IS NULL AND id IN (
  SELECT id FROM {{table:job}}
  WHERE lane = ? AND priority = ? AND bucket_id IS NULL AND run_at <= ?{cursor}
  ORDER BY run_at, id LIMIT ?)
RETURNING {CLAIMED_COLUMNS}"""


HOT: dict[str, str] = {
    "enqueue": """
INSERT INTO {table:job} (id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms,
  max_retries, retry, schedule_id, occurrence_at, recheck)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING""",
    "peek": """
SELECT 1 FROM {table:job}
WHERE lane = :lane AND priority {in:priorities} AND bucket_id IS NULL AND run_at <= {now} LIMIT 1""",
    "buckets_held": """
SELECT count(*) FROM {table:bucket} WHERE id {in:ids} AND status = 'active' AND lease_until > {now}""",
    "claim": _claim(""),
    "claim_after": _claim(" AND (run_at, id) > (?, ?)"),
    "claimed_in": f"SELECT {CLAIMED_COLUMNS} FROM {{table:job}} WHERE bucket_id {{in:ids}}",
    "succeed_insert": f"""
INSERT INTO {{table:history}} ({_KEPT}, attempt, started_at, finished_at, result, worker_id, status)
SELECT {_KEPT}, ?, ?, ?, ?, ?, 1 FROM {{table:job}} WHERE id = ? AND bucket_id = ? AND claim_no = ?""",
    "succeed_delete": "DELETE FROM {table:job} WHERE id = ? AND bucket_id = ? AND claim_no = ?",
}

KEYED_INSERT = """
INSERT INTO {table:job} (id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms,
  max_retries, retry, schedule_id, occurrence_at, recheck, unique_key, unique_hash)
VALUES (:id, :definition_id, :lane, :priority, COALESCE(:run_at, {now} + :delay), {now}, :data, :metadata,
  :timeout_ms, :max_retries, :retry, :schedule_id, :occurrence_at, :recheck, :unique_key, :unique_hash)
ON CONFLICT DO NOTHING RETURNING id, {micros:run_at}, {micros:enqueued_at}"""
