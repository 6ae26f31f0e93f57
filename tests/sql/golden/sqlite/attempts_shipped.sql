DELETE FROM "jm_attempt" WHERE claim_no = :claim_no AND job_id IN (:ids)
