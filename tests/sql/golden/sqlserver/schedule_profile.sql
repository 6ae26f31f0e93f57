SELECT schedule_id FROM "dbo"."jm_schedule" WHERE profile_id = ?
