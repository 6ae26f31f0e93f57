DECLARE @rows NVARCHAR(MAX) = CAST(? AS NVARCHAR(MAX));
DECLARE @now BIGINT = DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME());
INSERT INTO "dbo"."jm_job" (id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms, max_retries, retry, schedule_id, occurrence_at, recheck)
SELECT a.id, a.definition_id, a.lane, a.priority, COALESCE(a.run_at, @now + a.delay), @now, a.data, a.metadata, a.timeout_ms, a.max_retries, a.retry, a.schedule_id, a.occurrence_at, a.recheck
FROM (
  SELECT CONVERT(BINARY(16), r.id, 2) AS id, r.definition_id COLLATE Latin1_General_100_BIN2 AS definition_id, r.lane COLLATE Latin1_General_100_BIN2 AS lane, r.priority, r.run_at, r.delay, r.data COLLATE Latin1_General_100_BIN2 AS data, r.metadata COLLATE Latin1_General_100_BIN2 AS metadata, r.timeout_ms, r.max_retries, r.retry COLLATE Latin1_General_100_BIN2 AS retry, r.schedule_id COLLATE Latin1_General_100_BIN2 AS schedule_id, r.occurrence_at, r.recheck
  FROM OPENJSON(@rows) WITH ("id" CHAR(32), "definition_id" NVARCHAR(MAX), "lane" NVARCHAR(MAX), "priority" SMALLINT, "run_at" BIGINT, "delay" BIGINT, "data" NVARCHAR(MAX), "metadata" NVARCHAR(MAX), "timeout_ms" BIGINT, "max_retries" INT, "retry" NVARCHAR(MAX), "schedule_id" NVARCHAR(MAX), "occurrence_at" BIGINT, "recheck" SMALLINT) AS r) AS a
WHERE NOT EXISTS (
  SELECT 1 FROM "dbo"."jm_job" AS t WITH (UPDLOCK, HOLDLOCK, ROWLOCK) WHERE t.id = a.id);
SELECT @now
