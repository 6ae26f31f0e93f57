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
OPTION (LOOP JOIN, FORCE ORDER)
