SELECT TOP (?) j.id, j.bucket_id, j.claim_no, j.attempt, j.failures, j.losses, j.started_at, j.cancel_requested_at,
       j.cancel_reason, j.lane, j.unknown_since
FROM "dbo"."jm_job" j WITH (UPDLOCK, READPAST, ROWLOCK, READCOMMITTEDLOCK)
WHERE j.bucket_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "dbo"."jm_bucket" b WHERE b.id = j.bucket_id)
  AND NOT EXISTS (SELECT 1 FROM "dbo"."jm_agent" h WHERE h.store_id = j.bucket_id)
