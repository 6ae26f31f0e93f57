UPDATE "jm_job" SET bucket_id = ?, claim_no = claim_no + 1
WHERE bucket_id IS NULL AND id IN (
  SELECT id FROM "jm_job"
  WHERE lane = ? AND priority = ? AND bucket_id IS NULL AND run_at <= ?
  ORDER BY run_at, id LIMIT ?)
RETURNING id, bucket_id, claim_no, definition_id, lane, priority, run_at, enqueued_at, attempt, failures, losses, recheck, cancel_requested_at, data, metadata, timeout_ms, max_retries, retry, unknown_since, schedule_id, occurrence_at
