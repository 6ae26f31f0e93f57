SELECT name, store_id, added_at, draining FROM "jm_agent" ORDER BY name
