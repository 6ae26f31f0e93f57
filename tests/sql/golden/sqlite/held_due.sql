SELECT id, definition_id, lane, priority, run_at, enqueued_at, claim_no, attempt, failures, losses, placement, data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, started_at, error_type, error_message, error_traceback, agent, unknown_since FROM "jm_job"
WHERE lane = :lane AND priority = :priority AND bucket_id IS NULL AND run_at <= :now + :ahead
  AND (agent IS NULL OR agent IN (:agents))
ORDER BY run_at, id LIMIT :limit
