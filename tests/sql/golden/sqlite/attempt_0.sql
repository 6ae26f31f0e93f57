INSERT INTO "jm_attempt" (job_id, claim_no, number, started_at, finished_at, outcome, error_type, error_message, error_traceback, worker_id, log) VALUES (:job_id, :claim_no, :number, :started_at, :finished_at, :outcome, :error_type, :error_message, :error_traceback, :worker_id, :log)
ON CONFLICT (job_id, claim_no) DO NOTHING
