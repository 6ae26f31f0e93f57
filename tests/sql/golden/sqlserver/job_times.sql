SELECT id, bucket_id, run_at, enqueued_at FROM "dbo"."jm_job" WHERE id = ?
