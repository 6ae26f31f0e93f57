SELECT DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME()), (SELECT min(run_at) FROM "dbo"."jm_job" WITH (READPAST, ROWLOCK, READCOMMITTEDLOCK) WHERE lane = ? AND priority = 1 AND bucket_id IS NULL),
  (SELECT min(run_at) FROM "dbo"."jm_job" WITH (READPAST, ROWLOCK, READCOMMITTEDLOCK) WHERE lane = ? AND priority = 2 AND bucket_id IS NULL),
  (SELECT min(run_at) FROM "dbo"."jm_job" WITH (READPAST, ROWLOCK, READCOMMITTEDLOCK) WHERE lane = ? AND priority = 3 AND bucket_id IS NULL),
  (SELECT min(run_at) FROM "dbo"."jm_job" WITH (READPAST, ROWLOCK, READCOMMITTEDLOCK) WHERE lane = ? AND priority = 4 AND bucket_id IS NULL),
  (SELECT min(run_at) FROM "dbo"."jm_job" WITH (READPAST, ROWLOCK, READCOMMITTEDLOCK) WHERE lane = ? AND priority = 5 AND bucket_id IS NULL)
