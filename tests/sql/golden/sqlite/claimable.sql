SELECT (SELECT count(*) FROM "jm_bucket" WHERE id IN (:ids) AND status = 'active' AND lease_until > :now),
  EXISTS (SELECT 1 FROM "jm_job"
    WHERE lane = :lane AND priority IN (:priorities) AND bucket_id IS NULL AND run_at <= :now)
