UPDATE "jm_job"
SET bucket_id = NULL, started_at = NULL, progress_fraction = NULL, progress_message = NULL, attempt = :attempt, failures = :failures, losses = :losses,
    run_at = COALESCE(:run_at, run_at), unknown_since = :unknown_since,
    error_type = COALESCE(:error_type, error_type),
    error_message = CASE WHEN :error_type IS NULL THEN error_message ELSE :error_message END,
    error_traceback = CASE WHEN :error_type IS NULL THEN error_traceback ELSE :error_traceback END
WHERE id = :id
