INSERT INTO "dbo"."jm_job" (id, definition_id, lane, priority, run_at, enqueued_at, claim_no, attempt, failures, losses, placement, data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, unique_hash)
SELECT id, definition_id, lane, priority, DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME()), enqueued_at, claim_no + 1, attempt, 0, 0, placement, data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, CAST(? AS BINARY(32))
FROM "dbo"."jm_history" WHERE id = ?
