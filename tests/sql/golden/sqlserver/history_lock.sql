SELECT claim_no, attempt, unique_key, lane FROM "dbo"."jm_history" WITH (UPDLOCK, ROWLOCK) WHERE id = ?
