UPDATE "jm_job"
SET data = :data, metadata = :metadata, run_at = COALESCE(:run_at, :now + :delay),
    definition_id = :definition_id, lane = :lane, priority = :priority, timeout_ms = :timeout_ms,
    max_retries = :max_retries, retry = :retry
WHERE id = :id
