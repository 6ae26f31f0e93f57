SELECT schedule_id FROM "jm_schedule"
WHERE status = 'ended' AND profile_id IS NULL AND cursor_at <= :now - :age
ORDER BY schedule_id LIMIT :limit
