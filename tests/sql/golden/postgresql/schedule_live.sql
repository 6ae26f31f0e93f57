SELECT id FROM "public"."jm_job" WHERE schedule_id IS NOT NULL AND schedule_id = %(schedule_id)s AND run_at < %(far)s
