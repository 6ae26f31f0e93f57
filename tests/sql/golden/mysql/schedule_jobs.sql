SELECT id FROM `golden`.`jm_job` FORCE INDEX (jm_job_schedule) WHERE schedule_id IS NOT NULL AND schedule_id = %(schedule_id)s
