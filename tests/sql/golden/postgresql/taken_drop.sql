DELETE FROM "public"."jm_job" WHERE bucket_id = %(bucket_id)s
