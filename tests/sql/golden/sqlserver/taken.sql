UPDATE "dbo"."jm_job" SET bucket_id = ?, claim_no = claim_no + 1, recheck = 1 WHERE id IN (SELECT CONVERT(BINARY(16), i.value, 2) FROM OPENJSON(CAST(? AS NVARCHAR(MAX))) AS i)
