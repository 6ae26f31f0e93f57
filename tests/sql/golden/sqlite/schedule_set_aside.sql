UPDATE "jm_schedule" SET failures = failures + 1, error = :error, due_at = :now + :pause
WHERE schedule_id = :schedule_id
