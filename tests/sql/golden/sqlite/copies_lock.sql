SELECT id, bucket_id, placement, claim_no FROM "jm_job" WHERE id IN (:ids)
