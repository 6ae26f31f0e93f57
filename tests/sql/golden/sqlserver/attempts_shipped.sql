DELETE FROM "dbo"."jm_attempt" WHERE claim_no = ? AND job_id IN (SELECT CONVERT(BINARY(16), i.value, 2) FROM OPENJSON(CAST(? AS NVARCHAR(MAX))) AS i)
