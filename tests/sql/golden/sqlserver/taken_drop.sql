DELETE FROM "dbo"."jm_job" WHERE bucket_id = ?
