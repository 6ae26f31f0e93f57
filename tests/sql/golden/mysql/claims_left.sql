SELECT DISTINCT bucket_id FROM `golden`.`jm_job` FORCE INDEX (jm_job_ready) WHERE bucket_id IN (%(ids)s)
