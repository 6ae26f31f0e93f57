INSERT INTO "jm_cluster" (name, value, pinned) VALUES (:name, :value, :pinned)
