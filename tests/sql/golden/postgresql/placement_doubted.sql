UPDATE "public"."jm_job" SET unsynced = 1 WHERE bucket_id = %(store_id)s AND id = ANY(%(ids)s)
