UPDATE "dbo"."jm_job" SET unsynced = 0 WHERE bucket_id = ? AND id IN (SELECT CONVERT(BINARY(16), i.value, 2) FROM OPENJSON(CAST(? AS NVARCHAR(MAX))) AS i)
