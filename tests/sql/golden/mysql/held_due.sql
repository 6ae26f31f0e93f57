SELECT id, definition_id, lane, priority, run_at, enqueued_at, claim_no, attempt, failures, losses, placement, data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, started_at, error_type, error_message, error_traceback, agent, unknown_since FROM `golden`.`jm_job` FORCE INDEX (jm_job_ready)
WHERE lane = %(lane)s AND priority = %(priority)s AND bucket_id IS NULL AND run_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + %(ahead)s
  AND (agent IS NULL OR agent IN (%(agents)s))
ORDER BY run_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
