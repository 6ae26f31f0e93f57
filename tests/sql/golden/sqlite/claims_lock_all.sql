SELECT id, bucket_id, claim_no, attempt, failures, losses, started_at, cancel_requested_at, cancel_reason,
       lane, unknown_since
FROM "jm_job" WHERE bucket_id IN (:ids)
