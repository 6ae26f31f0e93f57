SELECT schedule_id FROM "jm_schedule"
WHERE status = 'active' AND due_at IS NOT NULL AND schedule_id > :after
  AND (zone_data IS NULL OR zone_data <> :zone_data)
ORDER BY schedule_id LIMIT :limit
