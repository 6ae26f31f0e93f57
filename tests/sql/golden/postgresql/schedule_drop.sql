DELETE FROM "public"."jm_schedule" WHERE schedule_id = %(schedule_id)s
