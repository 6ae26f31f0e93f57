SELECT job_id, claim_no, number, started_at, finished_at, outcome, error_type, error_message,
       error_traceback, worker_id, log
FROM "jm_attempt" ORDER BY job_id, claim_no LIMIT :limit
