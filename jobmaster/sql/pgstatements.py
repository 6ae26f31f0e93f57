"""The hot statements of PostgreSQL, written by hand."""

from __future__ import annotations

__all__ = ["COPY", "HOT", "KEYED_INSERT", "LANES_WAKE"]

COPY = {
    "id": "uuid",
    "definition_id": "text",
    "lane": "text",
    "priority": "int2",
    "run_at": "timestamptz",
    "enqueued_at": "timestamptz",
    "data": "text",
    "metadata": "text",
    "timeout_ms": "int8",
    "max_retries": "int4",
    "retry": "text",
    "schedule_id": "text",
    "occurrence_at": "timestamptz",
}
"""Columns of a COPY of new jobs, in order, with their types."""

_CLAIMED = (
    "j.id, j.bucket_id, j.claim_no, j.definition_id, j.lane, j.priority, j.run_at, j.enqueued_at, j.attempt, "
    "j.failures, j.losses, j.recheck <> 0, j.cancel_requested_at IS NOT NULL, j.data, j.metadata, "
    "j.timeout_ms, j.max_retries, j.retry, j.unknown_since, j.schedule_id, j.occurrence_at"
)
"""The fields of ``ClaimedJob`` in its order."""

_KEPT = (
    "id, definition_id, lane, priority, run_at, enqueued_at, claim_no, placement, data, content_type, "
    "metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, failures, losses"
)
_NEW = "attempt, started_at, finished_at, result, worker_id"

_NOW_AND_WAKE = (
    "SELECT statement_timestamp(), "
    "ARRAY(SELECT pg_notify(:channel, lane)::text FROM unnest(:lanes::text[]) AS lane)"
)
"""The present, and with the commit word to those who listen: no trip of its own."""

HOT: dict[str, str] = {
    "enqueue": """
WITH a AS (
  SELECT * FROM unnest(:id::uuid[], :definition_id::text[], :lane::text[], :priority::smallint[],
    :run_at::timestamptz[], :delay::bigint[], :data::text[], :metadata::text[], :timeout_ms::bigint[],
    :max_retries::int[], :retry::text[], :schedule_id::text[], :occurrence_at::timestamptz[],
    :recheck::smallint[])
  AS a(id, definition_id, lane, priority, run_at, delay, data, metadata, timeout_ms, max_retries, retry,
       schedule_id, occurrence_at, recheck)),
added AS (
  INSERT INTO {table:job} (id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms,
    max_retries, retry, schedule_id, occurrence_at, recheck)
  SELECT id, definition_id, lane, priority,
    COALESCE(run_at, statement_timestamp() + delay * interval '1 microsecond'), statement_timestamp(), data,
    metadata, timeout_ms, max_retries, retry, schedule_id, occurrence_at, recheck
  FROM a ON CONFLICT DO NOTHING)
"""
    + _NOW_AND_WAKE,
    "before_copy": _NOW_AND_WAKE,
    "copy": f"COPY {{table:job}} ({', '.join(COPY)}) FROM STDIN (FORMAT BINARY)",
    # Conditions on bucket_id that repeat what is known are written so that no index can serve them. A plan
    # made while the table is empty is kept, and to it the index of ready or of claimed rows looks as good as
    # the right one: each row was then found by reading all of them (16 ms for a claim of 100, not 0.6).
    # The rows to claim are found by their place: they are locked, so it cannot change before the update.
    #
    # One statement for all priorities. Candidates are locked first, so that a bucket is looked at, and locked
    # against its rescuer, only when there is something to put into it: an idle poll writes nothing.
    "claim": f"""
WITH asked AS (
  SELECT * FROM unnest(:priority::smallint[], :bucket::uuid[], :count::int[], :after_at::timestamptz[],
    :after_id::uuid[]) AS a(priority, bucket_id, n, after_at, after_id)),
picked AS MATERIALIZED (
  SELECT c.place, a.bucket_id
  FROM asked a CROSS JOIN LATERAL (
    SELECT j.ctid AS place FROM {{table:job}} j
    WHERE j.lane = :lane AND j.priority = a.priority AND j.bucket_id IS NULL
      AND j.run_at <= statement_timestamp() AND (j.run_at, j.id) > (a.after_at, a.after_id)
    ORDER BY j.run_at, j.id LIMIT a.n FOR UPDATE SKIP LOCKED) c),
held AS MATERIALIZED (
  SELECT b.id FROM {{table:bucket}} b
  WHERE EXISTS (SELECT 1 FROM picked) AND b.id = ANY(:bucket::uuid[]) AND b.status = 'active'
    AND b.lease_until > statement_timestamp()
  FOR KEY SHARE OF b),
claimed AS (
  UPDATE {{table:job}} j SET bucket_id = p.bucket_id, claim_no = j.claim_no + 1
  FROM picked p
  WHERE j.ctid = p.place AND num_nonnulls(j.bucket_id) = 0 AND (SELECT count(*) FROM held) = :buckets
  RETURNING {_CLAIMED})
SELECT * FROM claimed ORDER BY priority DESC, run_at, id""",
    "claimed_in": f"SELECT {_CLAIMED} FROM {{table:job}} j WHERE j.bucket_id = ANY(:ids::uuid[])",
    "succeed": f"""
WITH a AS (
  SELECT * FROM unnest(:id::uuid[], :bucket_id::uuid[], :claim_no::int[], :attempt::int[],
    :started_at::timestamptz[], :finished_at::timestamptz[], :result::text[], :worker_id::uuid[])
  AS a(id, bucket_id, claim_no, attempt, started_at, finished_at, result, worker_id)),
done AS (
  DELETE FROM {{table:job}} j USING a
  WHERE j.id = a.id AND j.bucket_id IS NOT DISTINCT FROM a.bucket_id AND j.claim_no = a.claim_no
  RETURNING {", ".join(f"j.{name}" for name in _KEPT.split(", "))},
    {", ".join(f"a.{name}" for name in _NEW.split(", "))})
INSERT INTO {{table:history}} ({_KEPT}, {_NEW}, status)
SELECT {_KEPT}, {_NEW}, 1 FROM done RETURNING id""",
}

KEYED_INSERT = """
INSERT INTO {table:job} (id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms,
  max_retries, retry, schedule_id, occurrence_at, recheck, unique_key, unique_hash)
SELECT id, definition_id, lane, priority,
  COALESCE(run_at, statement_timestamp() + delay * interval '1 microsecond'), statement_timestamp(), data,
  metadata, timeout_ms, max_retries, retry, schedule_id, occurrence_at, recheck, unique_key,
  decode(unique_hash, 'hex')
FROM json_to_recordset(CAST(CAST(:jobs AS text) AS json)) AS a(
  id uuid, definition_id text, lane text, priority smallint, run_at timestamptz, delay bigint, data text,
  metadata text, timeout_ms bigint, max_retries int, retry text, schedule_id text, occurrence_at timestamptz,
  recheck smallint, unique_key text, unique_hash text)
ON CONFLICT DO NOTHING
RETURNING id, {micros:run_at}, {micros:enqueued_at}"""
"""Takes the jobs as one JSON text, so that any driver a caller uses can carry it."""

LANES_WAKE = "SELECT pg_notify(%(channel)s, lane) FROM unnest(%(lanes)s::text[]) AS lane"
