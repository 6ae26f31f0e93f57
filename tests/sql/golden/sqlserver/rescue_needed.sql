SELECT 1 WHERE EXISTS (
  SELECT 1 FROM "dbo"."jm_bucket" WITH (READPAST, ROWLOCK, READCOMMITTEDLOCK)
  WHERE lease_until <= DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME()) OR status IN ('lost', 'draining', 'ready_to_delete'))
OR EXISTS (SELECT 1 FROM "dbo"."jm_job" j WITH (READPAST, ROWLOCK, READCOMMITTEDLOCK) WHERE j.bucket_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "dbo"."jm_bucket" b WHERE b.id = j.bucket_id)
    AND NOT EXISTS (SELECT 1 FROM "dbo"."jm_agent" h WHERE h.store_id = j.bucket_id))
