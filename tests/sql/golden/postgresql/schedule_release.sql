UPDATE "public"."jm_job" SET run_at = statement_timestamp() WHERE id = ANY(%(ids)s)
