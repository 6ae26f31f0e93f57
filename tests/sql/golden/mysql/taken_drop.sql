DELETE FROM `golden`.`jm_job` WHERE bucket_id = %(bucket_id)s
