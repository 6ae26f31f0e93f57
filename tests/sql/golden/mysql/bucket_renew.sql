UPDATE `golden`.`jm_bucket` FORCE INDEX (PRIMARY) SET lease_until = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + %(lease)s
WHERE id IN (%(ids)s) AND worker_id = %(worker_id)s AND status IN ('active', 'completing')
  AND lease_until > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))
