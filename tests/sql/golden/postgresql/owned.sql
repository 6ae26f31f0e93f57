SELECT id, bucket_id, claim_no, cancel_requested_at FROM "public"."jm_job" WHERE id = ANY(%(ids)s)
