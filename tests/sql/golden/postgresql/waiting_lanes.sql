SELECT DISTINCT lane FROM "public"."jm_job" WHERE bucket_id IS NULL
