INSERT INTO "public"."jm_meta" (name, value) VALUES (%(name)s, %(value)s)
