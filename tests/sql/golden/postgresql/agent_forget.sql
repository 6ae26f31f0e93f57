DELETE FROM "public"."jm_agent" WHERE name = %(name)s
