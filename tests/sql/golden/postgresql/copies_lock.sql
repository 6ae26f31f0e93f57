SELECT id, bucket_id, placement, claim_no FROM "public"."jm_job" WHERE id = ANY(%(ids)s) FOR UPDATE
