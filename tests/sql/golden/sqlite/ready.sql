SELECT json_group_array(json_array(hex(id), NULL, claim_no + 1, definition_id, lane, priority, run_at, enqueued_at, attempt, failures, losses, recheck, cancel_requested_at, data, metadata, timeout_ms, max_retries, retry, unknown_since, schedule_id, occurrence_at)) FROM (
  SELECT id, bucket_id, claim_no, definition_id, lane, priority, run_at, enqueued_at, attempt, failures, losses, recheck, cancel_requested_at, data, metadata, timeout_ms, max_retries, retry, unknown_since, schedule_id, occurrence_at FROM "jm_job"
  WHERE lane = ? AND priority = ? AND bucket_id IS NULL AND run_at <= ?
  ORDER BY run_at, id LIMIT ?)
