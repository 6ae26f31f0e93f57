SELECT name, store_id, added_at, draining FROM "public"."jm_agent" ORDER BY name
