DELETE FROM "jm_attempt" WHERE job_id IN (:ids)
