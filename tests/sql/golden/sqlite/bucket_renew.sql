UPDATE "jm_bucket" SET lease_until = :now + :lease
WHERE id IN (:ids) AND worker_id = :worker_id AND status IN ('active', 'completing')
  AND lease_until > :now
