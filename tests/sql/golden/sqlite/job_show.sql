SELECT id, definition_id, data, metadata, lane, priority, run_at, enqueued_at, attempt, failures, losses, started_at, error_type, error_message, error_traceback, schedule_id, unique_key, occurrence_at, bucket_id, progress_fraction, progress_message,
       (SELECT b.worker_id FROM "jm_bucket" b WHERE b.id = bucket_id),
       (SELECT h.name FROM "jm_agent" h WHERE h.store_id = bucket_id), unsynced, agent
FROM "jm_job" WHERE id = :id
