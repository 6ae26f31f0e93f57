SELECT id FROM "jm_job" WHERE bucket_id IN (:ids) AND cancel_requested_at IS NOT NULL
