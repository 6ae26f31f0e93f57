SELECT DISTINCT bucket_id FROM "jm_job" WHERE bucket_id IN (:ids)
