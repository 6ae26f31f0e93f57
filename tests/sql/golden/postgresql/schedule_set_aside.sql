UPDATE "public"."jm_schedule" SET failures = failures + 1, error = %(error)s, due_at = statement_timestamp() + %(pause)s * interval '1 microsecond'
WHERE schedule_id = %(schedule_id)s
