UPDATE "dbo"."jm_job"
SET cancel_requested_at = COALESCE(cancel_requested_at, DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME())),
    cancel_reason = COALESCE(cancel_reason, CAST(? AS NVARCHAR(MAX)))
WHERE id = ?
