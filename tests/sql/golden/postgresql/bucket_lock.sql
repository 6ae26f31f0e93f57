SELECT id, worker_id FROM "public"."jm_bucket" WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE
