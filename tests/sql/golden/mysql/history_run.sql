SELECT status, attempt, started_at, finished_at, worker_id, claim_no FROM `golden`.`jm_history` WHERE id = %(id)s
