INSERT INTO `golden`.`jm_bucket` (id, worker_id, worker_name, lane, priority, mode, status, lease_until)
VALUES (%(id)s, %(worker_id)s, %(worker_name)s, %(lane)s, %(priority)s, %(mode)s, 'active', TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + %(lease)s)
