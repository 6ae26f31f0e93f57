SELECT id, bucket_id, claim_no, cancel_requested_at, cancel_reason
FROM "jm_job" WHERE id IN (:ids) ORDER BY id
