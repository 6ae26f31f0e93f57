SELECT schedule_id FROM `golden`.`jm_schedule`
WHERE status = 'active' AND due_at IS NOT NULL AND schedule_id > %(after)s
  AND (zone_data IS NULL OR zone_data <> %(zone_data)s)
ORDER BY schedule_id LIMIT %(limit)s
