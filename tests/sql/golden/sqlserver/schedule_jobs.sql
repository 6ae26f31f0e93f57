SELECT id FROM "dbo"."jm_job" WITH (ROWLOCK, INDEX(jm_job_schedule)) WHERE schedule_id IS NOT NULL AND schedule_id = ?
