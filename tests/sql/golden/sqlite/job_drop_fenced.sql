DELETE FROM "jm_job" WHERE id = :id AND bucket_id = :bucket_id AND claim_no = :claim_no
