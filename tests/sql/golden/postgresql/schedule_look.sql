SELECT statement_timestamp(), (SELECT min(due_at) FROM "public"."jm_schedule" WHERE due_at IS NOT NULL)
