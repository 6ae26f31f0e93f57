UPDATE "dbo"."jm_job" SET run_at = ? WHERE id = ?
