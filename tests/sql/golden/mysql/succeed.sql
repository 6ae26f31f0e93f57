INSERT INTO `golden`.`jm_history` (id, definition_id, lane, priority, run_at, enqueued_at, claim_no, placement, data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, failures, losses, attempt, started_at, finished_at, result, worker_id, status)
SELECT j.id, j.definition_id, j.lane, j.priority, j.run_at, j.enqueued_at, j.claim_no, j.placement, j.data, j.content_type, j.metadata, j.timeout_ms, j.max_retries, j.retry, j.unique_key, j.schedule_id, j.occurrence_at, j.failures, j.losses, a.attempt, a.started_at, a.finished_at, a.result, a.worker_id, 1
FROM (%(rows)s) a STRAIGHT_JOIN `golden`.`jm_job` j FORCE INDEX (PRIMARY)
  ON j.id = a.id AND j.bucket_id = a.bucket_id AND j.claim_no = a.claim_no
FOR UPDATE
