SELECT name, value FROM "dbo"."jm_meta"
