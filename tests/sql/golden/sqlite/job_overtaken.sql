UPDATE "jm_job" SET placement = :placement, recheck = 1 WHERE id = :id
