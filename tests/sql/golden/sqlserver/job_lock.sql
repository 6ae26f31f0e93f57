SELECT bucket_id, lane, attempt, failures, losses FROM "dbo"."jm_job" WITH (UPDLOCK, ROWLOCK) WHERE id = ?
