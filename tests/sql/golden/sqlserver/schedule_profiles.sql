SELECT DISTINCT profile_id FROM "dbo"."jm_schedule" WHERE profile_id IS NOT NULL
