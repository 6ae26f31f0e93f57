SELECT id FROM "jm_job" WHERE recheck = 1 AND id IN (:ids)
