SELECT id FROM "public"."jm_job" WHERE recheck = 1 AND id = ANY(%(ids)s)
