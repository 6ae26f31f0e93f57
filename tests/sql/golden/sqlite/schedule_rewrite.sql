UPDATE "jm_job"
SET definition_id = :definition_id, lane = :lane, priority = :priority, data = :data, metadata = :metadata,
    timeout_ms = :timeout_ms, max_retries = :max_retries, retry = :retry, agent = :agent, unknown_since = NULL
WHERE id IN (:ids)
