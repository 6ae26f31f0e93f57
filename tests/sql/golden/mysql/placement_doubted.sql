UPDATE `golden`.`jm_job` FORCE INDEX (PRIMARY) SET unsynced = 1 WHERE bucket_id = %(store_id)s AND id IN (%(ids)s)
