SELECT id FROM "jm_job" WHERE id IN (:ids)
