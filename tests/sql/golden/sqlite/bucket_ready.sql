SELECT id FROM "jm_bucket" WHERE status = 'ready_to_delete'
ORDER BY id LIMIT :limit
