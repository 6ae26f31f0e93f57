DELETE FROM "jm_job" WHERE id = :id
