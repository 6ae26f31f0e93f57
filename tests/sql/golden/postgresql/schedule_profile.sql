SELECT schedule_id FROM "public"."jm_schedule" WHERE profile_id = %(profile_id)s
