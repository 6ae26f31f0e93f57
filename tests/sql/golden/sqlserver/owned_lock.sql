SELECT j.id, j.bucket_id, j.claim_no, j.cancel_requested_at, j.cancel_reason
FROM (SELECT DISTINCT CONVERT(BINARY(16), i.value, 2) AS id FROM OPENJSON(CAST(? AS NVARCHAR(MAX))) AS i) AS a INNER LOOP JOIN "dbo"."jm_job" AS j WITH (UPDLOCK, ROWLOCK) ON j.id = a.id
ORDER BY j.id
