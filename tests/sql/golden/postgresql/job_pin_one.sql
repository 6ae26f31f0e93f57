UPDATE "public"."jm_job" SET agent = %(agent)s WHERE id = %(id)s
