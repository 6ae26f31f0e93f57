DECLARE @rows NVARCHAR(MAX) = CAST(? AS NVARCHAR(MAX));
INSERT INTO "dbo"."jm_attempt" (job_id, claim_no, number, started_at, finished_at, outcome, error_type, error_message, error_traceback, worker_id, log)
SELECT a.job_id, a.claim_no, a.number, a.started_at, a.finished_at, a.outcome, a.error_type, a.error_message, a.error_traceback, a.worker_id, a.log
FROM (
  SELECT CONVERT(BINARY(16), r.job_id, 2) AS job_id, r.claim_no, r.number, r.started_at, r.finished_at, r.outcome COLLATE Latin1_General_100_BIN2 AS outcome, r.error_type COLLATE Latin1_General_100_BIN2 AS error_type, r.error_message COLLATE Latin1_General_100_BIN2 AS error_message, r.error_traceback COLLATE Latin1_General_100_BIN2 AS error_traceback, CONVERT(BINARY(16), r.worker_id, 2) AS worker_id, r.log COLLATE Latin1_General_100_BIN2 AS log
  FROM OPENJSON(@rows) WITH ("job_id" CHAR(32), "claim_no" INT, "number" INT, "started_at" BIGINT, "finished_at" BIGINT, "outcome" NVARCHAR(MAX), "error_type" NVARCHAR(MAX), "error_message" NVARCHAR(MAX), "error_traceback" NVARCHAR(MAX), "worker_id" CHAR(32), "log" NVARCHAR(MAX)) AS r) AS a
WHERE NOT EXISTS (
  SELECT 1 FROM "dbo"."jm_attempt" AS t WHERE t.job_id = a.job_id AND t.claim_no = a.claim_no)
