UPDATE "jm_job" SET run_at = :run_at WHERE id = :id
