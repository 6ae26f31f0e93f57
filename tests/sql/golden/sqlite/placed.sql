UPDATE "jm_job" SET unsynced = 0 WHERE bucket_id = :store_id AND id IN (:ids)
