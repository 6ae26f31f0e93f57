UPDATE "public"."jm_agent" SET draining = %(draining)s WHERE name = %(name)s
