SELECT bucket_id, lane, attempt, failures, losses FROM "jm_job" WHERE id = :id
