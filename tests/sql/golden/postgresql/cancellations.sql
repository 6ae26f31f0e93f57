SELECT id FROM "public"."jm_job" WHERE bucket_id = ANY(%(ids)s) AND cancel_requested_at IS NOT NULL
