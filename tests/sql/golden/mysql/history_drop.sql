DELETE t FROM `golden`.`jm_history` t FORCE INDEX (PRIMARY) WHERE t.id IN (%(ids)s)
