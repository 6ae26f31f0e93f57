DELETE FROM "public"."jm_worker" WHERE id = %(id)s
