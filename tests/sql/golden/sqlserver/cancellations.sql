SELECT id FROM "dbo"."jm_job" WHERE bucket_id IN (SELECT CONVERT(BINARY(16), i.value, 2) FROM OPENJSON(CAST(? AS NVARCHAR(MAX))) AS i) AND cancel_requested_at IS NOT NULL
