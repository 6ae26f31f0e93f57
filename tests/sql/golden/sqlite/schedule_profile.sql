SELECT schedule_id FROM "jm_schedule" WHERE profile_id = :profile_id
