SELECT id FROM `golden`.`jm_history` WHERE finished_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) - %(age)s
ORDER BY finished_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
