DELETE FROM "dbo"."jm_schedule" WHERE schedule_id = ?
