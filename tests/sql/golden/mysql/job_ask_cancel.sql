UPDATE `golden`.`jm_job`
SET cancel_requested_at = COALESCE(cancel_requested_at, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))),
    cancel_reason = COALESCE(cancel_reason, %(reason)s)
WHERE id = %(id)s
