UPDATE "public"."jm_job" SET unsynced = 0 WHERE id = ANY(%(ids)s)
