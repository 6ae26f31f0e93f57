DELETE FROM "dbo"."jm_agent" WHERE name = ?
