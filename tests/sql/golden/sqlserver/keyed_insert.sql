SET XACT_ABORT OFF;
DECLARE @rows NVARCHAR(MAX) = CAST(? AS NVARCHAR(MAX));
DECLARE @now BIGINT = DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME());
BEGIN TRY
INSERT INTO "dbo"."jm_job" (id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms, max_retries, retry, schedule_id, occurrence_at, recheck, unique_key, unique_hash)
OUTPUT inserted.id, inserted.run_at, inserted.enqueued_at
SELECT a.id, a.definition_id, a.lane, a.priority, COALESCE(a.run_at, @now + a.delay), @now, a.data, a.metadata, a.timeout_ms, a.max_retries, a.retry, a.schedule_id, a.occurrence_at, a.recheck, a.unique_key, a.unique_hash
FROM (
  SELECT CONVERT(BINARY(16), r.id, 2) AS id, r.definition_id COLLATE Latin1_General_100_BIN2 AS definition_id, r.lane COLLATE Latin1_General_100_BIN2 AS lane, r.priority, r.run_at, r.delay, r.data COLLATE Latin1_General_100_BIN2 AS data, r.metadata COLLATE Latin1_General_100_BIN2 AS metadata, r.timeout_ms, r.max_retries, r.retry COLLATE Latin1_General_100_BIN2 AS retry, r.schedule_id COLLATE Latin1_General_100_BIN2 AS schedule_id, r.occurrence_at, r.recheck, r.unique_key COLLATE Latin1_General_100_BIN2 AS unique_key, CONVERT(BINARY(32), r.unique_hash, 2) AS unique_hash
  FROM OPENJSON(@rows) WITH ("id" CHAR(32), "definition_id" NVARCHAR(MAX), "lane" NVARCHAR(MAX), "priority" SMALLINT, "run_at" BIGINT, "delay" BIGINT, "data" NVARCHAR(MAX), "metadata" NVARCHAR(MAX), "timeout_ms" BIGINT, "max_retries" INT, "retry" NVARCHAR(MAX), "schedule_id" NVARCHAR(MAX), "occurrence_at" BIGINT, "recheck" SMALLINT, "unique_key" NVARCHAR(MAX), "unique_hash" CHAR(64)) AS r) AS a
WHERE NOT EXISTS (SELECT 1 FROM "dbo"."jm_job" AS t WITH (READCOMMITTEDLOCK) WHERE t.id = a.id)
END TRY
BEGIN CATCH
IF ERROR_NUMBER() NOT IN (2601, 2627) BEGIN; THROW; END
END CATCH
