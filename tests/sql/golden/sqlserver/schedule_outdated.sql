SELECT TOP (?) schedule_id FROM "dbo"."jm_schedule"
WHERE status = 'active' AND due_at IS NOT NULL AND schedule_id > ?
  AND (zone_data IS NULL OR zone_data <> ?)
ORDER BY schedule_id
