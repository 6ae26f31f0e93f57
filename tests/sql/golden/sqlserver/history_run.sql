SELECT status, attempt, started_at, finished_at, worker_id, claim_no FROM "dbo"."jm_history" WHERE id = ?
