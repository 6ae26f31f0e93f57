SELECT id, worker_id, mode FROM "jm_bucket" WHERE status IN ('lost', 'draining', 'ready_to_delete')
ORDER BY id LIMIT :limit
