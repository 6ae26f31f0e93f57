"""The hot statements of SQLite, written by hand. Their parameters are positional: the driver binds those
fastest."""

from __future__ import annotations

from .rawjobs import CLAIMED_COLUMNS

__all__ = ["HOT", "KEYED_INSERT"]

_NAMES = CLAIMED_COLUMNS.split(", ")
_KEPT = (
    "id, definition_id, lane, priority, run_at, enqueued_at, claim_no, placement, data, content_type, "
    "metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, failures, losses"
)


_SHOWN = ", ".join(
    {"id": "hex(id)", "bucket_id": "NULL", "claim_no": "claim_no + 1"}.get(n, n) for n in _NAMES
)
_AFTER = " AND (run_at, id) > (?, ?)"


def _ready(wanted: str, cursor: str) -> str:
    return f"""
  SELECT {wanted} FROM {{table:job}}
  WHERE lane = ? AND priority = ? AND bucket_id IS NULL AND run_at <= ?{cursor}
  ORDER BY run_at, id LIMIT ?"""


def _show(cursor: str) -> str:
    return f"SELECT json_group_array(json_array({_SHOWN})) FROM ({_ready(', '.join(_NAMES), cursor)})"


def _claim(cursor: str) -> str:
    return f"""
UPDATE {{table:job}} SET bucket_id = ?, claim_no = claim_no + 1
WHERE bucket_id IS NULL AND id IN ({_ready("id", cursor)})"""


HOT: dict[str, str] = {
    "enqueue": """
INSERT INTO {table:job} (id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms,
  max_retries, retry, schedule_id, occurrence_at, recheck)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING""",
    "peek": """
SELECT 1 FROM {table:job}
WHERE lane = :lane AND priority {in:priorities} AND bucket_id IS NULL AND run_at <= {now} LIMIT 1""",
    "claimable": """
SELECT (SELECT count(*) FROM {table:bucket} WHERE id {in:ids} AND status = 'active' AND lease_until > {now}),
  EXISTS (SELECT 1 FROM {table:job}
    WHERE lane = :lane AND priority {in:priorities} AND bucket_id IS NULL AND run_at <= {now})""",
    "ready": _show(""),
    "ready_after": _show(_AFTER),
    "claim": _claim(""),
    "claim_after": _claim(_AFTER),
    "claimed_in": f"SELECT {CLAIMED_COLUMNS} FROM {{table:job}} WHERE bucket_id {{in:ids}}",
    # ids and buckets lie behind each other, 16 bytes each, in the order of the facts
    "succeed_all": f"""
INSERT INTO {{table:history}} ({_KEPT}, attempt, started_at, finished_at, result, worker_id, status)
SELECT {", ".join(f"j.{name}" for name in _KEPT.split(", "))}, json_extract(f.value, '$[0]'),
  json_extract(f.value, '$[1]'), json_extract(f.value, '$[2]'), json_extract(f.value, '$[3]'), :worker_id, 1
FROM json_each(:facts) f CROSS JOIN {{table:job}} j ON j.id = substr(:ids, f.key * 16 + 1, 16)
WHERE j.bucket_id = substr(:buckets, f.key * 16 + 1, 16) AND j.claim_no = json_extract(f.value, '$[4]')""",
    "succeed_drop": """
DELETE FROM {table:job} WHERE id IN (SELECT substr(:ids, f.key * 16 + 1, 16) FROM json_each(:facts) f)""",
    "succeed_one": f"""
INSERT INTO {{table:history}} ({_KEPT}, attempt, started_at, finished_at, result, worker_id, status)
SELECT {_KEPT}, ?, ?, ?, ?, ?, 1 FROM {{table:job}} WHERE id = ? AND bucket_id = ? AND claim_no = ?""",
    "succeed_drop_one": "DELETE FROM {table:job} WHERE id = ? AND bucket_id = ? AND claim_no = ?",
}

KEYED_INSERT = """
INSERT INTO {table:job} (id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms,
  max_retries, retry, schedule_id, occurrence_at, recheck, unique_key, unique_hash)
VALUES (:id, :definition_id, :lane, :priority, COALESCE(:run_at, {now} + :delay), {now}, :data, :metadata,
  :timeout_ms, :max_retries, :retry, :schedule_id, :occurrence_at, :recheck, :unique_key, :unique_hash)
ON CONFLICT DO NOTHING RETURNING id, {micros:run_at}, {micros:enqueued_at}"""
