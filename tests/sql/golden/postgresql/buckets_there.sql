SELECT id FROM "public"."jm_bucket" WHERE id = ANY(%(ids)s)
