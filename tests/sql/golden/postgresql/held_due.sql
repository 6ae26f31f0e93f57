SELECT id, definition_id, lane, priority, run_at, enqueued_at, claim_no, attempt, failures, losses, placement, data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, started_at, error_type, error_message, error_traceback, agent, unknown_since FROM "public"."jm_job"
WHERE lane = %(lane)s AND priority = %(priority)s AND bucket_id IS NULL AND run_at <= statement_timestamp() + %(ahead)s * interval '1 microsecond'
  AND (agent IS NULL OR agent = ANY(%(agents)s))
ORDER BY run_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
