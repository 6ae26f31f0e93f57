SELECT schedule_id, sum(CASE WHEN run_at < %(far)s THEN 1 ELSE 0 END),
       sum(CASE WHEN run_at < %(far)s THEN 0 ELSE 1 END)
FROM `golden`.`jm_job` FORCE INDEX (jm_job_schedule) WHERE schedule_id IS NOT NULL AND schedule_id IN (%(schedules)s) GROUP BY schedule_id
