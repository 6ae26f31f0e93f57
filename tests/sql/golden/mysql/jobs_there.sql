SELECT id FROM `golden`.`jm_job` FORCE INDEX (PRIMARY) WHERE id IN (%(ids)s)
