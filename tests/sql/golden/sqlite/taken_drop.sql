DELETE FROM "jm_job" WHERE bucket_id = :bucket_id
