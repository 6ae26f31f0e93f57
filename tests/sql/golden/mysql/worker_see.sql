UPDATE `golden`.`jm_worker`
SET seen_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), alive_until = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + %(alive_for)s, unknown_definitions = %(unknown_definitions)s,
    backlog = %(backlog)s
WHERE id = %(id)s
