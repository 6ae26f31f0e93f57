UPDATE "dbo"."jm_bucket" SET status = ? WHERE id IN (SELECT CONVERT(BINARY(16), i.value, 2) FROM OPENJSON(CAST(? AS NVARCHAR(MAX))) AS i)
