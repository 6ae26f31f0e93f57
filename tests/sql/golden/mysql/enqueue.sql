INSERT INTO `golden`.`jm_job` (id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms, max_retries, retry, schedule_id, occurrence_at, recheck) VALUES %(rows)s
