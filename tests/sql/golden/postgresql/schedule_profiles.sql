SELECT DISTINCT profile_id FROM "public"."jm_schedule" WHERE profile_id IS NOT NULL
