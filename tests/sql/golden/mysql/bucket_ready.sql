SELECT id FROM `golden`.`jm_bucket` FORCE INDEX (PRIMARY) WHERE status = 'ready_to_delete'
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
