INSERT INTO "dbo"."jm_meta" (name, value) VALUES (?, ?)
