SELECT id, worker_id, mode FROM "jm_bucket" WHERE status IN ('lost', 'draining')
ORDER BY id LIMIT :limit
