SELECT schedule_id, sum(CASE WHEN run_at < :far THEN 1 ELSE 0 END),
       sum(CASE WHEN run_at < :far THEN 0 ELSE 1 END)
FROM "jm_job" WHERE schedule_id IS NOT NULL AND schedule_id IN (:schedules) GROUP BY schedule_id
