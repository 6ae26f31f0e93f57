SELECT count(*) FROM "public"."jm_worker" WHERE alive_until < statement_timestamp() - %(age)s * interval '1 microsecond'
