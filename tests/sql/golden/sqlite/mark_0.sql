UPDATE "jm_job"
SET started_at = COALESCE(started_at, :started_at),
    progress_fraction = COALESCE(:progress_fraction, progress_fraction),
    progress_message = COALESCE(:progress_message, progress_message)
WHERE id = :id AND bucket_id = :bucket_id AND claim_no = :claim_no
