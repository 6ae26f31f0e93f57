INSERT INTO "jm_meta" (name, value) VALUES (:name, :value)
