DECLARE @rows NVARCHAR(MAX) = CAST(? AS NVARCHAR(MAX));
UPDATE j
SET started_at = COALESCE(j.started_at, a.started_at),
    progress_fraction = COALESCE(a.progress_fraction, j.progress_fraction),
    progress_message = COALESCE(a.progress_message, j.progress_message)
FROM (
  SELECT CONVERT(BINARY(16), r.id, 2) AS id, CONVERT(BINARY(16), r.bucket_id, 2) AS bucket_id, r.claim_no, r.started_at, r.progress_fraction, r.progress_message COLLATE Latin1_General_100_BIN2 AS progress_message
  FROM OPENJSON(@rows) WITH ("id" CHAR(32), "bucket_id" CHAR(32), "claim_no" INT, "started_at" BIGINT, "progress_fraction" FLOAT, "progress_message" NVARCHAR(MAX)) AS r) AS a INNER LOOP JOIN "dbo"."jm_job" AS j WITH (ROWLOCK) ON j.id = a.id
WHERE j.bucket_id = a.bucket_id AND j.claim_no = a.claim_no
