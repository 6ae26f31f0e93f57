UPDATE "dbo"."jm_job" SET bucket_id = NULL, placement = placement + 1, unsynced = 0
WHERE bucket_id = ?
