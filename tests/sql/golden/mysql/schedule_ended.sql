SELECT schedule_id FROM `golden`.`jm_schedule`
WHERE status = 'ended' AND profile_id IS NULL AND cursor_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) - %(age)s
ORDER BY schedule_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
