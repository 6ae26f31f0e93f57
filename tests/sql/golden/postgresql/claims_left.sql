SELECT DISTINCT bucket_id FROM "public"."jm_job" WHERE bucket_id = ANY(%(ids)s)
