SELECT id, lane, metadata FROM `golden`.`jm_job` FORCE INDEX (jm_job_schedule)
WHERE schedule_id IS NOT NULL AND schedule_id = %(schedule_id)s AND run_at >= %(far)s
ORDER BY occurrence_at LIMIT %(limit)s FOR UPDATE
