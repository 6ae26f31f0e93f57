SELECT j.id, j.definition_id, j.data, j.metadata, j.lane, j.priority, j.run_at, j.enqueued_at, j.attempt, j.failures, j.losses, j.started_at, j.error_type, j.error_message, j.error_traceback, j.schedule_id, j.unique_key, j.bucket_id, j.progress_fraction, j.progress_message, b.worker_id
FROM "dbo"."jm_job" j LEFT JOIN "dbo"."jm_bucket" b ON b.id = j.bucket_id WHERE j.id = ?
