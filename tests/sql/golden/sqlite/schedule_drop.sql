DELETE FROM "jm_schedule" WHERE schedule_id = :schedule_id
