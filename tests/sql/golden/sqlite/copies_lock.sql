SELECT id, bucket_id, placement FROM "jm_job" WHERE id IN (:ids)
