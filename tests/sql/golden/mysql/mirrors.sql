SELECT id, lane, priority FROM `golden`.`jm_job` FORCE INDEX (jm_job_ready)
WHERE bucket_id = %(store_id)s AND unsynced = 0 AND id > %(after)s ORDER BY id LIMIT %(limit)s
