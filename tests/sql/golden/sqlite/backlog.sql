SELECT count(*) FROM (
  SELECT 1 AS due FROM "jm_job"
  WHERE lane = :lane AND priority IN (1, 2, 3, 4, 5) AND bucket_id IS NULL AND run_at <= :now
  LIMIT :most) counted
