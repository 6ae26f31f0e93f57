INSERT INTO "dbo"."jm_cluster" (name, value, pinned) VALUES (?, ?, ?)
