WITH a AS (
  SELECT * FROM unnest(%(id)s::uuid[], %(definition_id)s::text[], %(lane)s::text[], %(priority)s::smallint[],
    %(run_at)s::timestamptz[], %(delay)s::bigint[], %(data)s::text[], %(metadata)s::text[], %(timeout_ms)s::bigint[],
    %(max_retries)s::int[], %(retry)s::text[], %(schedule_id)s::text[], %(occurrence_at)s::timestamptz[],
    %(recheck)s::smallint[])
  AS a(id, definition_id, lane, priority, run_at, delay, data, metadata, timeout_ms, max_retries, retry,
       schedule_id, occurrence_at, recheck)),
added AS (
  INSERT INTO "public"."jm_job" (id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms,
    max_retries, retry, schedule_id, occurrence_at, recheck)
  SELECT id, definition_id, lane, priority,
    COALESCE(run_at, statement_timestamp() + delay * interval '1 microsecond'), statement_timestamp(), data,
    metadata, timeout_ms, max_retries, retry, schedule_id, occurrence_at, recheck
  FROM a ON CONFLICT DO NOTHING)
SELECT statement_timestamp(), ARRAY(SELECT pg_notify(%(channel)s, lane)::text FROM unnest(%(lanes)s::text[]) AS lane)
