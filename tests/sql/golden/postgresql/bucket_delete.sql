DELETE FROM "public"."jm_bucket" WHERE id = ANY(%(ids)s)
