SELECT id, bucket_id FROM "jm_job" WHERE id IN (:ids)
