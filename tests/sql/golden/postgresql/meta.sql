SELECT name, value FROM "public"."jm_meta"
