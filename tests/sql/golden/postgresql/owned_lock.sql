SELECT id, bucket_id, claim_no, cancel_requested_at, cancel_reason
FROM "public"."jm_job" WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE
