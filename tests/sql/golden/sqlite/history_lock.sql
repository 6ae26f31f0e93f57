SELECT claim_no, attempt, unique_key, lane FROM "jm_history" WHERE id = :id
