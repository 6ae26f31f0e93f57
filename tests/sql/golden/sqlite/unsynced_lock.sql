SELECT id, definition_id, lane, priority, run_at, enqueued_at, claim_no, attempt, failures, losses, placement, data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, started_at, error_type, error_message, error_traceback, agent, unknown_since FROM "jm_job"
WHERE unsynced = 1 AND enqueued_at <= :now - :age ORDER BY id LIMIT :limit
