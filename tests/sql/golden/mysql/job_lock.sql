SELECT bucket_id, lane, attempt, failures, losses FROM `golden`.`jm_job` WHERE id = %(id)s FOR UPDATE
