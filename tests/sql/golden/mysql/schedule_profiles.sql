SELECT DISTINCT profile_id FROM `golden`.`jm_schedule` WHERE profile_id IS NOT NULL
