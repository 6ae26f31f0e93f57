UPDATE `golden`.`jm_job` FORCE INDEX (PRIMARY) SET bucket_id = %(store_id)s, placement = placement + 1, unsynced = 1, recheck = 0
WHERE id IN (%(ids)s)
