INSERT INTO "jm_agent" (name, store_id, added_at) VALUES (:name, :store_id, :now)
