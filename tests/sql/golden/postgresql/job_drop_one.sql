DELETE FROM "public"."jm_job" WHERE id = %(id)s
