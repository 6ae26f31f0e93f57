UPDATE "public"."jm_job" SET bucket_id = %(store_id)s, placement = placement + 1, unsynced = 1, recheck = 0
WHERE id = ANY(%(ids)s)
