SELECT TOP (?) id, definition_id, lane, priority, run_at, enqueued_at, claim_no, attempt, failures, losses, placement, data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, started_at, error_type, error_message, error_traceback, agent, unknown_since FROM "dbo"."jm_job" WITH (UPDLOCK, READPAST, ROWLOCK, READCOMMITTEDLOCK, INDEX(jm_job_ready))
WHERE lane = ? AND priority = ? AND bucket_id IS NULL AND run_at <= DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME()) + ?
  AND (agent IS NULL OR agent IN (SELECT i.value COLLATE Latin1_General_100_BIN2 FROM OPENJSON(CAST(? AS NVARCHAR(MAX))) AS i))
ORDER BY run_at, id
