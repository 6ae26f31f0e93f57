DELETE FROM `golden`.`jm_schedule` WHERE schedule_id = %(schedule_id)s
