UPDATE "public"."jm_job" SET placement = %(placement)s, recheck = 1 WHERE id = %(id)s
