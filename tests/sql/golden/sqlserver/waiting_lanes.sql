SELECT DISTINCT lane FROM "dbo"."jm_job" WHERE bucket_id IS NULL
