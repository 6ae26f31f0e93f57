SELECT TOP (?) id, lane, priority FROM "dbo"."jm_job" WITH (READPAST, ROWLOCK, READCOMMITTEDLOCK, INDEX(jm_job_claimed))
WHERE bucket_id = ? AND unsynced = 0 AND id > ? ORDER BY id
