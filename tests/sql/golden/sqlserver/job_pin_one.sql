UPDATE "dbo"."jm_job" SET agent = ? WHERE id = ?
