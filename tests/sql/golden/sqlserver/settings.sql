SELECT name, value, pinned, version FROM "dbo"."jm_cluster" ORDER BY name
