SELECT id FROM "public"."jm_bucket" WHERE status = 'ready_to_delete'
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
