UPDATE "jm_job" SET unsynced = 0 WHERE id IN (:ids)
