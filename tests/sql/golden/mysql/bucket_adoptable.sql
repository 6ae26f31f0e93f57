SELECT id, worker_id, mode FROM `golden`.`jm_bucket` FORCE INDEX (PRIMARY) WHERE status IN ('lost', 'draining', 'ready_to_delete')
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
