UPDATE "public"."jm_bucket" SET status = %(status)s WHERE id = ANY(%(ids)s)
