UPDATE "dbo"."jm_schedule" SET failures = failures + 1, error = ?, due_at = DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME()) + ?
WHERE schedule_id = ?
