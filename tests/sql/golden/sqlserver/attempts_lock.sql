SELECT TOP (?) job_id, claim_no, number, started_at, finished_at, outcome, error_type, error_message,
       error_traceback, worker_id, log
FROM "dbo"."jm_attempt" WITH (UPDLOCK, READPAST, ROWLOCK, READCOMMITTEDLOCK) ORDER BY job_id, claim_no
