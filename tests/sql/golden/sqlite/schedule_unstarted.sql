SELECT id, metadata FROM "jm_job"
WHERE schedule_id IS NOT NULL AND schedule_id = :schedule_id AND occurrence_at IS NOT NULL
  AND bucket_id IS NULL AND attempt = 0 LIMIT :limit
