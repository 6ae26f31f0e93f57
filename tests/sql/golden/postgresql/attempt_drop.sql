DELETE FROM "public"."jm_attempt" WHERE job_id = ANY(%(ids)s)
