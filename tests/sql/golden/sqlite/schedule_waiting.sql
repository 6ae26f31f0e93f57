SELECT id, lane, metadata FROM "jm_job"
WHERE schedule_id IS NOT NULL AND schedule_id = :schedule_id AND run_at >= :far
ORDER BY occurrence_at LIMIT :limit
