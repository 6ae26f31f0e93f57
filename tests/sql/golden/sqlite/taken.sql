UPDATE "jm_job" SET bucket_id = :bucket_id, claim_no = claim_no + 1, recheck = 1 WHERE id IN (:ids)
