SELECT id, lane, metadata FROM `golden`.`jm_job` FORCE INDEX (jm_job_schedule)
WHERE schedule_id IS NOT NULL AND schedule_id = %(schedule_id)s AND run_at < %(far)s
  AND (bucket_id IS NULL OR cancel_requested_at IS NULL) ORDER BY id
