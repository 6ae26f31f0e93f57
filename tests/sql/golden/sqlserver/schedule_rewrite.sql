UPDATE t
SET definition_id = ?, lane = ?, priority = ?, data = ?, metadata = ?,
    timeout_ms = ?, max_retries = ?, retry = ?, agent = ?, unknown_since = NULL
FROM (SELECT DISTINCT CONVERT(BINARY(16), i.value, 2) AS id FROM OPENJSON(CAST(? AS NVARCHAR(MAX))) AS i) AS a INNER LOOP JOIN "dbo"."jm_job" AS t WITH (ROWLOCK) ON t.id = a.id
