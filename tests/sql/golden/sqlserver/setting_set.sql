UPDATE "dbo"."jm_cluster" SET value = ?, pinned = ?, version = version + 1 WHERE name = ?
