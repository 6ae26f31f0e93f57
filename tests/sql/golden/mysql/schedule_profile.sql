SELECT schedule_id FROM `golden`.`jm_schedule` WHERE profile_id = %(profile_id)s
