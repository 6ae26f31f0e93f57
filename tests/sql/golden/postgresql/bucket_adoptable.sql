SELECT id, worker_id, mode FROM "public"."jm_bucket" WHERE status IN ('lost', 'draining')
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
