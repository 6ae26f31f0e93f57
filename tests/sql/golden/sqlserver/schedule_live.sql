SELECT id, lane, metadata FROM "dbo"."jm_job" WITH (ROWLOCK, INDEX(jm_job_schedule))
WHERE schedule_id IS NOT NULL AND schedule_id = ? AND run_at < ?
  AND (bucket_id IS NULL OR cancel_requested_at IS NULL) ORDER BY id
