SELECT number, started_at, finished_at, outcome, error_type, error_message, error_traceback, worker_id, log,
       claim_no
FROM "dbo"."jm_attempt" WHERE job_id = ? ORDER BY claim_no
