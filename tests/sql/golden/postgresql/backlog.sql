SELECT count(*) FROM (
  SELECT 1 AS due FROM "public"."jm_job"
  WHERE lane = %(lane)s AND priority IN (1, 2, 3, 4, 5) AND bucket_id IS NULL AND run_at <= statement_timestamp()
  LIMIT %(most)s) counted
