INSERT INTO "public"."jm_agent" (name, store_id, added_at) VALUES (%(name)s, %(store_id)s, statement_timestamp())
