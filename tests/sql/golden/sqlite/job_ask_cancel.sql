UPDATE "jm_job"
SET cancel_requested_at = COALESCE(cancel_requested_at, :now),
    cancel_reason = COALESCE(cancel_reason, :reason)
WHERE id = :id
