UPDATE "dbo"."jm_agent" SET draining = ? WHERE name = ?
