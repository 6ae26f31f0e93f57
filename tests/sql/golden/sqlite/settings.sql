SELECT name, value, pinned, version FROM "jm_cluster" ORDER BY name
