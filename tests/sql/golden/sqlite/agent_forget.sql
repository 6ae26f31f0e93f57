DELETE FROM "jm_agent" WHERE name = :name
