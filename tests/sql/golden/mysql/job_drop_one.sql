DELETE FROM `golden`.`jm_job` WHERE id = %(id)s
