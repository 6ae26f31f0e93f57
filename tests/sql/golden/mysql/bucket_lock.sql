SELECT id, worker_id FROM `golden`.`jm_bucket` FORCE INDEX (PRIMARY) WHERE id IN (%(ids)s) ORDER BY id FOR UPDATE
