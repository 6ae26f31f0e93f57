SELECT id FROM "public"."jm_history" WHERE finished_at <= statement_timestamp() - %(age)s * interval '1 microsecond'
ORDER BY finished_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
