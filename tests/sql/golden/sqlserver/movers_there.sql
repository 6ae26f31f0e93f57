SELECT id FROM "dbo"."jm_bucket" WHERE id IN (SELECT CONVERT(BINARY(16), i.value, 2) FROM OPENJSON(CAST(? AS NVARCHAR(MAX))) AS i) AND mode = 'drain'
