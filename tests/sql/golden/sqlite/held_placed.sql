UPDATE "jm_job" SET bucket_id = :store_id, placement = placement + 1, unsynced = 1, recheck = 0
WHERE id IN (:ids)
