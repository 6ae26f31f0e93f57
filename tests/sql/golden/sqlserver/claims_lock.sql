SELECT TOP (?) j.id, j.bucket_id, j.claim_no, j.attempt, j.failures, j.losses, j.started_at, j.cancel_requested_at,
       j.cancel_reason, j.lane, j.unknown_since
FROM (SELECT DISTINCT CONVERT(BINARY(16), i.value, 2) AS id FROM OPENJSON(CAST(? AS NVARCHAR(MAX))) AS i) AS a
INNER LOOP JOIN "dbo"."jm_job" AS j WITH (UPDLOCK, READPAST, ROWLOCK, READCOMMITTEDLOCK, INDEX(jm_job_claimed)) ON j.bucket_id = a.id
WHERE j.bucket_id IS NOT NULL
