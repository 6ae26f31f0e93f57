UPDATE `golden`.`jm_schedule` SET failures = failures + 1, error = %(error)s, due_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + %(pause)s
WHERE schedule_id = %(schedule_id)s
