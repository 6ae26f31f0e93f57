SELECT count(*) FROM `golden`.`jm_worker` WHERE alive_until < TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) - %(age)s
