SELECT status, attempt, started_at, finished_at, worker_id, claim_no FROM "public"."jm_history" WHERE id = %(id)s
