SELECT schedule_id FROM "jm_schedule"
WHERE status = 'ended' AND profile_id IS NULL AND updated_at <= :now - :age
ORDER BY schedule_id LIMIT :limit
