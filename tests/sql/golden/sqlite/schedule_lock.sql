SELECT schedule_id, definition_id, lane, kind, expression, time_zone, data, metadata, options, profile_id, anchor, created_at, updated_at, version, status, cursor_at, next_run_at, due_at, last_run_at, skipped, missed, missed_from, missed_to, failures, error, zone_data FROM "jm_schedule"
WHERE schedule_id = :schedule_id
