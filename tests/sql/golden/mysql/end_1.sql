DELETE t FROM `golden`.`jm_job` t FORCE INDEX (PRIMARY) WHERE t.id IN (%(ids)s)
