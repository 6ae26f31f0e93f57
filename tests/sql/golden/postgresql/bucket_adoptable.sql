SELECT id, worker_id, mode FROM "public"."jm_bucket" WHERE status IN ('lost', 'draining', 'ready_to_delete')
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
