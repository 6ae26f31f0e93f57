UPDATE "jm_cluster" SET value = :value, pinned = :pinned, version = version + 1 WHERE name = :name
