UPDATE "public"."jm_job"
SET data = %(data)s, metadata = %(metadata)s, run_at = COALESCE(%(run_at)s, statement_timestamp() + %(delay)s * interval '1 microsecond'),
    definition_id = %(definition_id)s, lane = %(lane)s, priority = %(priority)s, timeout_ms = %(timeout_ms)s,
    max_retries = %(max_retries)s, retry = %(retry)s
WHERE id = %(id)s
