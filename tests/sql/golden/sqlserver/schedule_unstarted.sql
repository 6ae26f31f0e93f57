SELECT TOP (?) id, metadata FROM "dbo"."jm_job" WITH (UPDLOCK, READPAST, ROWLOCK, READCOMMITTEDLOCK, INDEX(jm_job_schedule))
WHERE schedule_id IS NOT NULL AND schedule_id = ? AND occurrence_at IS NOT NULL
  AND bucket_id IS NULL AND attempt = 0
