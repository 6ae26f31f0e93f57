SELECT id, metadata FROM `golden`.`jm_job` FORCE INDEX (jm_job_schedule)
WHERE schedule_id IS NOT NULL AND schedule_id = %(schedule_id)s AND occurrence_at IS NOT NULL
  AND bucket_id IS NULL AND attempt = 0 LIMIT %(limit)s FOR UPDATE SKIP LOCKED
