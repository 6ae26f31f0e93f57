WITH a AS (
  SELECT * FROM unnest(%(id)s::uuid[], %(bucket_id)s::uuid[], %(claim_no)s::int[], %(attempt)s::int[],
    %(started_at)s::timestamptz[], %(finished_at)s::timestamptz[], %(result)s::text[], %(worker_id)s::uuid[])
  AS a(id, bucket_id, claim_no, attempt, started_at, finished_at, result, worker_id)),
done AS (
  DELETE FROM "public"."jm_job" j USING a
  WHERE j.id = a.id AND j.bucket_id IS NOT DISTINCT FROM a.bucket_id AND j.claim_no = a.claim_no
  RETURNING j.id, j.definition_id, j.lane, j.priority, j.run_at, j.enqueued_at, j.claim_no, j.placement, j.data, j.content_type, j.metadata, j.timeout_ms, j.max_retries, j.retry, j.unique_key, j.schedule_id, j.occurrence_at, j.failures, j.losses,
    a.attempt, a.started_at, a.finished_at, a.result, a.worker_id)
INSERT INTO "public"."jm_history" (id, definition_id, lane, priority, run_at, enqueued_at, claim_no, placement, data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, failures, losses, attempt, started_at, finished_at, result, worker_id, status)
SELECT id, definition_id, lane, priority, run_at, enqueued_at, claim_no, placement, data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, failures, losses, attempt, started_at, finished_at, result, worker_id, 1 FROM done RETURNING id
