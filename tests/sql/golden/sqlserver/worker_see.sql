UPDATE "dbo"."jm_worker"
SET seen_at = DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME()), alive_until = DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME()) + ?, unknown_definitions = ?,
    backlog = ?
WHERE id = ?
