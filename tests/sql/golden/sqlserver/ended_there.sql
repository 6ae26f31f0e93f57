SELECT id, placement FROM "dbo"."jm_history" WHERE id IN (SELECT CONVERT(BINARY(16), i.value, 2) FROM OPENJSON(CAST(? AS NVARCHAR(MAX))) AS i)
