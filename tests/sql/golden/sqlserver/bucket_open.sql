INSERT INTO "dbo"."jm_bucket" (id, worker_id, worker_name, lane, priority, mode, status, lease_until)
VALUES (?, ?, ?, ?, ?, ?, 'active', DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME()) + ?)
