DECLARE @rows NVARCHAR(MAX) = CAST(? AS NVARCHAR(MAX));
INSERT INTO "dbo"."jm_history" (id, definition_id, lane, priority, run_at, enqueued_at, claim_no, placement, data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, attempt, failures, losses, started_at, status, finished_at, result, error_type, error_message, error_traceback, worker_id)
SELECT j.id, j.definition_id, j.lane, j.priority, j.run_at, j.enqueued_at, j.claim_no, j.placement, j.data, j.content_type, j.metadata, j.timeout_ms, j.max_retries, j.retry, j.unique_key, j.schedule_id, j.occurrence_at, a.attempt, a.failures, a.losses, a.started_at, a.status, a.finished_at, a.result, a.error_type, a.error_message, a.error_traceback, a.worker_id
FROM (
  SELECT CONVERT(BINARY(16), r.id, 2) AS id, r.status, r.attempt, r.failures, r.losses, r.started_at, r.finished_at, r.result COLLATE Latin1_General_100_BIN2 AS result, r.error_type COLLATE Latin1_General_100_BIN2 AS error_type, r.error_message COLLATE Latin1_General_100_BIN2 AS error_message, r.error_traceback COLLATE Latin1_General_100_BIN2 AS error_traceback, CONVERT(BINARY(16), r.worker_id, 2) AS worker_id
  FROM OPENJSON(@rows) WITH ("id" CHAR(32), "status" SMALLINT, "attempt" INT, "failures" INT, "losses" INT, "started_at" BIGINT, "finished_at" BIGINT, "result" NVARCHAR(MAX), "error_type" NVARCHAR(MAX), "error_message" NVARCHAR(MAX), "error_traceback" NVARCHAR(MAX), "worker_id" CHAR(32)) AS r) AS a INNER LOOP JOIN "dbo"."jm_job" AS j WITH (ROWLOCK) ON j.id = a.id;
DELETE j FROM (
  SELECT CONVERT(BINARY(16), r.id, 2) AS id
  FROM OPENJSON(@rows) WITH ("id" CHAR(32)) AS r) AS a INNER LOOP JOIN "dbo"."jm_job" AS j WITH (ROWLOCK) ON j.id = a.id
