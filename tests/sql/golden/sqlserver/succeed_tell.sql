DECLARE @rows NVARCHAR(MAX) = CAST(? AS NVARCHAR(MAX));
INSERT INTO "dbo"."jm_history" (id, definition_id, lane, priority, run_at, enqueued_at, claim_no, placement, data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, failures, losses, attempt, started_at, finished_at, result, worker_id, status)
SELECT j.id, j.definition_id, j.lane, j.priority, j.run_at, j.enqueued_at, j.claim_no, j.placement, j.data, j.content_type, j.metadata, j.timeout_ms, j.max_retries, j.retry, j.unique_key, j.schedule_id, j.occurrence_at, j.failures, j.losses, a.attempt, a.started_at, a.finished_at, a.result, a.worker_id, 1
FROM (
  SELECT CONVERT(BINARY(16), r.id, 2) AS id, CONVERT(BINARY(16), r.bucket_id, 2) AS bucket_id, r.claim_no, r.attempt, r.started_at, r.finished_at, r.result COLLATE Latin1_General_100_BIN2 AS result, CONVERT(BINARY(16), r.worker_id, 2) AS worker_id
  FROM OPENJSON(@rows) WITH ("id" CHAR(32), "bucket_id" CHAR(32), "claim_no" INT, "attempt" INT, "started_at" BIGINT, "finished_at" BIGINT, "result" NVARCHAR(MAX), "worker_id" CHAR(32)) AS r) AS a INNER LOOP JOIN "dbo"."jm_job" AS j WITH (UPDLOCK, ROWLOCK) ON j.id = a.id
WHERE j.bucket_id = a.bucket_id AND j.claim_no = a.claim_no;
DELETE j OUTPUT deleted.id
FROM (
  SELECT CONVERT(BINARY(16), r.id, 2) AS id, CONVERT(BINARY(16), r.bucket_id, 2) AS bucket_id, r.claim_no
  FROM OPENJSON(@rows) WITH ("id" CHAR(32), "bucket_id" CHAR(32), "claim_no" INT) AS r) AS a INNER LOOP JOIN "dbo"."jm_job" AS j WITH (ROWLOCK) ON j.id = a.id
WHERE j.bucket_id = a.bucket_id AND j.claim_no = a.claim_no;
SELECT DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME())
