UPDATE "dbo"."jm_job" SET placement = ?, recheck = 1 WHERE id = ?
