UPDATE `golden`.`jm_job` FORCE INDEX (PRIMARY)
SET definition_id = %(definition_id)s, lane = %(lane)s, priority = %(priority)s, data = %(data)s, metadata = %(metadata)s,
    timeout_ms = %(timeout_ms)s, max_retries = %(max_retries)s, retry = %(retry)s, agent = %(agent)s, unknown_since = NULL
WHERE id IN (%(ids)s)
