DELETE FROM "dbo"."jm_job" WHERE id = ?
