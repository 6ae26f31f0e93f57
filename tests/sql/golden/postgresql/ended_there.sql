SELECT id, placement FROM "public"."jm_history" WHERE id = ANY(%(ids)s)
