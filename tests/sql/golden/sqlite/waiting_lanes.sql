SELECT DISTINCT lane FROM "jm_job" WHERE bucket_id IS NULL
