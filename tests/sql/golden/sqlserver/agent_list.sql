SELECT name, store_id, added_at, draining FROM "dbo"."jm_agent" ORDER BY name
