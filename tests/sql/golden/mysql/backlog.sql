SELECT count(*) FROM (
  SELECT 1 AS due FROM `golden`.`jm_job` FORCE INDEX (jm_job_ready)
  WHERE lane = %(lane)s AND priority IN (1, 2, 3, 4, 5) AND bucket_id IS NULL AND run_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))
  LIMIT %(most)s) counted
