UPDATE "jm_agent" SET draining = :draining WHERE name = :name
