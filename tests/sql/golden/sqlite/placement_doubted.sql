UPDATE "jm_job" SET unsynced = 1 WHERE bucket_id = :store_id AND id IN (:ids)
