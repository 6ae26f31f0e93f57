DECLARE @rows NVARCHAR(MAX) = CAST(? AS NVARCHAR(MAX));
UPDATE j
SET bucket_id = NULL, started_at = NULL, progress_fraction = NULL, progress_message = NULL,
    attempt = a.attempt, failures = a.failures, losses = a.losses,
    run_at = COALESCE(a.run_at, j.run_at), unknown_since = a.unknown_since,
    error_type = COALESCE(a.error_type, j.error_type),
    error_message = CASE WHEN a.error_type IS NULL THEN j.error_message ELSE a.error_message END,
    error_traceback = CASE WHEN a.error_type IS NULL THEN j.error_traceback ELSE a.error_traceback END
FROM (
  SELECT CONVERT(BINARY(16), r.id, 2) AS id, r.attempt, r.failures, r.losses, r.run_at, r.unknown_since, r.error_type COLLATE Latin1_General_100_BIN2 AS error_type, r.error_message COLLATE Latin1_General_100_BIN2 AS error_message, r.error_traceback COLLATE Latin1_General_100_BIN2 AS error_traceback
  FROM OPENJSON(@rows) WITH ("id" CHAR(32), "attempt" INT, "failures" INT, "losses" INT, "run_at" BIGINT, "unknown_since" BIGINT, "error_type" NVARCHAR(MAX), "error_message" NVARCHAR(MAX), "error_traceback" NVARCHAR(MAX)) AS r) AS a INNER LOOP JOIN "dbo"."jm_job" AS j WITH (ROWLOCK) ON j.id = a.id
