UPDATE `golden`.`jm_job`
SET data = %(data)s, metadata = %(metadata)s, run_at = COALESCE(%(run_at)s, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + %(delay)s),
    definition_id = %(definition_id)s, lane = %(lane)s, priority = %(priority)s, timeout_ms = %(timeout_ms)s,
    max_retries = %(max_retries)s, retry = %(retry)s
WHERE id = %(id)s
