UPDATE `golden`.`jm_job` FORCE INDEX (PRIMARY) SET agent = %(agent)s WHERE id IN (%(ids)s)
