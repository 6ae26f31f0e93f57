SELECT schedule_id FROM "public"."jm_schedule"
WHERE status = 'ended' AND profile_id IS NULL AND cursor_at <= statement_timestamp() - %(age)s * interval '1 microsecond'
ORDER BY schedule_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
