WITH a AS (SELECT * FROM unnest(%(id)s::uuid[], %(attempt)s::int[], %(failures)s::int[], %(losses)s::int[], %(run_at)s::timestamptz[], %(unknown_since)s::timestamptz[], %(error_type)s::text[], %(error_message)s::text[], %(error_traceback)s::text[]) AS a(id, attempt, failures, losses, run_at, unknown_since, error_type, error_message, error_traceback))
UPDATE "public"."jm_job" j
SET bucket_id = NULL, started_at = NULL, progress_fraction = NULL, progress_message = NULL, attempt = a.attempt, failures = a.failures, losses = a.losses,
    run_at = COALESCE(a.run_at, j.run_at), unknown_since = a.unknown_since,
    error_type = COALESCE(a.error_type, j.error_type),
    error_message = CASE WHEN a.error_type IS NULL THEN j.error_message ELSE a.error_message END,
    error_traceback = CASE WHEN a.error_type IS NULL THEN j.error_traceback ELSE a.error_traceback END
FROM a WHERE j.id = a.id
