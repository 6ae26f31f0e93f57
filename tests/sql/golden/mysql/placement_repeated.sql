UPDATE `golden`.`jm_job` SET recheck = 1 WHERE id IN (%(ids)s)
