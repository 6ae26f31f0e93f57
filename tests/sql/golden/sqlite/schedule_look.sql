SELECT :now, (SELECT min(due_at) FROM "jm_schedule" WHERE due_at IS NOT NULL)
