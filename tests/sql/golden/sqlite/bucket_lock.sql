SELECT id, worker_id FROM "jm_bucket" WHERE id IN (:ids) ORDER BY id
