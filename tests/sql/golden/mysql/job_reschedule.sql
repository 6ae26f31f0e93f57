UPDATE `golden`.`jm_job` SET run_at = %(run_at)s WHERE id = %(id)s
