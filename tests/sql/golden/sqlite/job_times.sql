SELECT id, bucket_id, run_at, enqueued_at FROM "jm_job" WHERE id = :id
