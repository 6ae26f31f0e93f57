SELECT id FROM `golden`.`jm_bucket` FORCE INDEX (PRIMARY) WHERE lease_until <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) AND status IN ('active', 'completing')
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
