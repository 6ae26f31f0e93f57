SELECT name, value FROM "jm_meta"
