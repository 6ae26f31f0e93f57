SELECT 1 FROM "jm_job"
WHERE lane = :lane AND priority IN (:priorities) AND bucket_id IS NULL AND run_at <= :now LIMIT 1
