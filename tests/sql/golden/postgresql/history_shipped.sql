DELETE FROM "public"."jm_history" WHERE placement = %(placement)s AND id = ANY(%(ids)s)
