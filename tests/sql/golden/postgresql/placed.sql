UPDATE "public"."jm_job" SET unsynced = 0 WHERE bucket_id = %(store_id)s AND id = ANY(%(ids)s)
