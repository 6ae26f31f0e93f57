UPDATE "jm_job" SET agent = :agent WHERE id = :id
