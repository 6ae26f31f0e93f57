SELECT id, bucket_id, claim_no, cancel_requested_at FROM "dbo"."jm_job" WHERE id IN (SELECT CONVERT(BINARY(16), i.value, 2) FROM OPENJSON(CAST(? AS NVARCHAR(MAX))) AS i)
