UPDATE `golden`.`jm_job` FORCE INDEX (PRIMARY) SET unsynced = 0 WHERE id IN (%(ids)s)
