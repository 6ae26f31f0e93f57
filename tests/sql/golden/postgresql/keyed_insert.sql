INSERT INTO "public"."jm_job" (id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms,
  max_retries, retry, schedule_id, occurrence_at, recheck, unique_key, unique_hash)
SELECT id, definition_id, lane, priority,
  COALESCE(run_at, statement_timestamp() + delay * interval '1 microsecond'), statement_timestamp(), data,
  metadata, timeout_ms, max_retries, retry, schedule_id, occurrence_at, recheck, unique_key,
  decode(unique_hash, 'hex')
FROM json_to_recordset(CAST(CAST(%(jobs)s AS text) AS json)) AS a(
  id uuid, definition_id text, lane text, priority smallint, run_at timestamptz, delay bigint, data text,
  metadata text, timeout_ms bigint, max_retries int, retry text, schedule_id text, occurrence_at timestamptz,
  recheck smallint, unique_key text, unique_hash text)
ON CONFLICT DO NOTHING
RETURNING id, (extract(epoch FROM date_trunc('second', run_at))::bigint * 1000000 + mod(extract(microseconds FROM run_at)::bigint, 1000000)), (extract(epoch FROM date_trunc('second', enqueued_at))::bigint * 1000000 + mod(extract(microseconds FROM enqueued_at)::bigint, 1000000))
