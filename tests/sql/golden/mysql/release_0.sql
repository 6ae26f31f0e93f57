UPDATE (%(rows)s) a STRAIGHT_JOIN `golden`.`jm_job` j FORCE INDEX (PRIMARY) ON j.id = a.id
SET j.bucket_id = NULL, j.started_at = NULL, j.progress_fraction = NULL, j.progress_message = NULL,
    j.attempt = a.attempt, j.failures = a.failures, j.losses = a.losses,
    j.run_at = COALESCE(a.run_at, j.run_at), j.unknown_since = a.unknown_since,
    j.error_message = CASE WHEN a.error_type IS NULL THEN j.error_message ELSE a.error_message END,
    j.error_traceback = CASE WHEN a.error_type IS NULL THEN j.error_traceback ELSE a.error_traceback END,
    j.error_type = COALESCE(a.error_type, j.error_type)
