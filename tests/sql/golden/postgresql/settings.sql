SELECT name, value, pinned, version FROM "public"."jm_cluster" ORDER BY name
