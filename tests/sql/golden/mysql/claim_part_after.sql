(SELECT id, bucket_id, claim_no, definition_id, lane, priority, run_at, enqueued_at, attempt, failures, losses, recheck, cancel_requested_at, data, metadata, timeout_ms, max_retries, retry, unknown_since, schedule_id, occurrence_at FROM `golden`.`jm_job` FORCE INDEX (jm_job_ready)
WHERE bucket_id IS NULL AND lane = %(lane)s AND priority = %(priority)s AND run_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))
  AND (run_at > %(after_at)s OR run_at = %(after_at)s AND id > %(after_id)s) ORDER BY run_at, id LIMIT %(count)s FOR UPDATE SKIP LOCKED)
