SELECT id, bucket_id, placement FROM "public"."jm_job" WHERE id = ANY(%(ids)s) FOR UPDATE
