DELETE FROM "jm_job" WHERE id = ? AND bucket_id = ? AND claim_no = ?
