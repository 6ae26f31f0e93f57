SELECT id, lane, priority FROM "public"."jm_job"
WHERE bucket_id = %(store_id)s AND unsynced = 0 AND id > %(after)s ORDER BY id LIMIT %(limit)s
