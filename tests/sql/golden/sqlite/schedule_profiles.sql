SELECT DISTINCT profile_id FROM "jm_schedule" WHERE profile_id IS NOT NULL
