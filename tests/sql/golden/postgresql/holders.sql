SELECT id, bucket_id FROM "public"."jm_job" WHERE id = ANY(%(ids)s)
