INSERT INTO "public"."jm_cluster" (name, value, pinned) VALUES (%(name)s, %(value)s, %(pinned)s)
