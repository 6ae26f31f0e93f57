SELECT id, lane, metadata FROM "jm_job"
WHERE schedule_id IS NOT NULL AND schedule_id = :schedule_id AND run_at < :far
  AND (bucket_id IS NULL OR cancel_requested_at IS NULL) ORDER BY id
