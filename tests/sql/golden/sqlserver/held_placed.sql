UPDATE t SET bucket_id = ?, placement = t.placement + 1, unsynced = 1, recheck = 0
FROM (SELECT DISTINCT CONVERT(BINARY(16), i.value, 2) AS id FROM OPENJSON(CAST(? AS NVARCHAR(MAX))) AS i) AS a INNER LOOP JOIN "dbo"."jm_job" AS t WITH (ROWLOCK) ON t.id = a.id
