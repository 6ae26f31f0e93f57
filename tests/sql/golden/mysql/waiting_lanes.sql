SELECT DISTINCT lane FROM `golden`.`jm_job` WHERE bucket_id IS NULL
