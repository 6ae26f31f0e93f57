SELECT id FROM "public"."jm_job" WHERE id = ANY(%(ids)s)
