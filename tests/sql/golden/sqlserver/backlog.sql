SELECT count(*) FROM (
  SELECT TOP (?) 1 AS due FROM "dbo"."jm_job"
  WHERE lane = ? AND priority IN (1, 2, 3, 4, 5) AND bucket_id IS NULL AND run_at <= DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME())
  ) counted
