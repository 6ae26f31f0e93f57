UPDATE "dbo"."jm_job"
SET data = ?, metadata = ?, run_at = COALESCE(?, DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME()) + ?),
    definition_id = ?, lane = ?, priority = ?, timeout_ms = ?,
    max_retries = ?, retry = ?
WHERE id = ?
