SELECT id FROM "public"."jm_bucket" WHERE lease_until <= statement_timestamp() AND status IN ('active', 'completing')
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
