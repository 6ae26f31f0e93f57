SELECT TOP (?) id, lane, metadata FROM "dbo"."jm_job" WITH (UPDLOCK, ROWLOCK, INDEX(jm_job_schedule))
WHERE schedule_id IS NOT NULL AND schedule_id = ? AND run_at >= ?
ORDER BY occurrence_at
