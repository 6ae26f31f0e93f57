SELECT id, bucket_id, claim_no, cancel_requested_at FROM "jm_job" WHERE id IN (:ids)
