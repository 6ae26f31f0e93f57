UPDATE "dbo"."jm_job" SET agent = NULL WHERE agent = ? AND bucket_id IS NULL
