UPDATE "public"."jm_job" SET recheck = 1 WHERE id = ANY(%(ids)s)
