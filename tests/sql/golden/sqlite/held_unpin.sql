UPDATE "jm_job" SET agent = NULL WHERE agent = :agent AND bucket_id IS NULL
