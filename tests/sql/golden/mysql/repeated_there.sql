SELECT id FROM `golden`.`jm_job` WHERE recheck = 1 AND id IN (%(ids)s)
