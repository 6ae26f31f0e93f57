UPDATE `golden`.`jm_job` SET agent = NULL WHERE agent = %(agent)s AND bucket_id IS NULL
