UPDATE "public"."jm_job"
SET cancel_requested_at = COALESCE(cancel_requested_at, statement_timestamp()),
    cancel_reason = COALESCE(cancel_reason, %(reason)s)
WHERE id = %(id)s
