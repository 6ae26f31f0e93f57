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
DECLARE @asked NVARCHAR(MAX) = CAST(? AS NVARCHAR(MAX));
DECLARE @now BIGINT = DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME());
DECLARE @held INT;
SELECT @held = COUNT(*)
FROM (SELECT DISTINCT b.bucket_id FROM (
  SELECT CONVERT(BINARY(16), r.bucket_id, 2) AS bucket_id
  FROM OPENJSON(@asked) WITH ("bucket_id" CHAR(32)) AS r) AS b) AS a
INNER LOOP JOIN "dbo"."jm_bucket" AS b WITH (REPEATABLEREAD, ROWLOCK) ON b.id = a.bucket_id
WHERE b.status = 'active' AND b.lease_until > @now;
UPDATE j SET bucket_id = p.bucket_id, claim_no = j.claim_no + 1
OUTPUT inserted.id, inserted.bucket_id, inserted.claim_no, inserted.definition_id, inserted.lane, inserted.priority, inserted.run_at, inserted.enqueued_at, inserted.attempt, inserted.failures, inserted.losses, inserted.recheck, inserted.cancel_requested_at, inserted.data, inserted.metadata, inserted.timeout_ms, inserted.max_retries, inserted.retry, inserted.unknown_since, inserted.schedule_id, inserted.occurrence_at
FROM (
  SELECT c.id, a.bucket_id
  FROM (
  SELECT r.priority, CONVERT(BINARY(16), r.bucket_id, 2) AS bucket_id, r.n, r.after_at, CONVERT(BINARY(16), r.after_id, 2) AS after_id
  FROM OPENJSON(@asked) WITH ("priority" SMALLINT, "bucket_id" CHAR(32), "n" INT, "after_at" BIGINT, "after_id" CHAR(32)) AS r) AS a
  CROSS APPLY (
    SELECT TOP (a.n) r.id
    FROM "dbo"."jm_job" AS r WITH (UPDLOCK, READPAST, ROWLOCK, READCOMMITTEDLOCK, INDEX(jm_job_ready))
    WHERE r.lane = ? AND r.priority = a.priority AND r.bucket_id IS NULL AND r.run_at <= @now
      AND r.run_at >= a.after_at AND (r.run_at > a.after_at OR r.id > a.after_id)
    ORDER BY r.run_at, r.id) AS c) AS p, "dbo"."jm_job" AS j WITH (READPAST, ROWLOCK, READCOMMITTEDLOCK)
WHERE j.id = p.id AND j.bucket_id IS NULL AND @held = ?
OPTION (LOOP JOIN, FORCE ORDER);
SELECT DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME())
