UPDATE "jm_job" SET run_at = :now WHERE id IN (:ids)
