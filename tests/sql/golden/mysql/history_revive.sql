INSERT INTO `golden`.`jm_job` (id, definition_id, lane, priority, run_at, enqueued_at, claim_no, attempt, failures, losses, placement, data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, unique_hash)
SELECT id, definition_id, lane, priority, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), enqueued_at, claim_no + 1, attempt, 0, 0, placement, data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, %(unique_hash)s
FROM `golden`.`jm_history` WHERE id = %(id)s
