SELECT id FROM `golden`.`jm_history` FORCE INDEX (PRIMARY) WHERE id IN (%(ids)s)
