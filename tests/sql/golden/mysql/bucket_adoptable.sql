SELECT id, worker_id, mode FROM `golden`.`jm_bucket` FORCE INDEX (PRIMARY) WHERE status IN ('lost', 'draining')
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
