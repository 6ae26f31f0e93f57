INSERT INTO "jm_job" (id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms,
  max_retries, retry, schedule_id, occurrence_at, recheck, unique_key, unique_hash)
VALUES (:id, :definition_id, :lane, :priority, COALESCE(:run_at, :now + :delay), :now, :data, :metadata,
  :timeout_ms, :max_retries, :retry, :schedule_id, :occurrence_at, :recheck, :unique_key, :unique_hash)
ON CONFLICT DO NOTHING RETURNING id, run_at, enqueued_at
