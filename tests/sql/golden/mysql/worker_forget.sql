DELETE FROM `golden`.`jm_worker` WHERE id = %(id)s
