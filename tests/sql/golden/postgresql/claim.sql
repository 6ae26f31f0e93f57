WITH asked AS (
  SELECT * FROM unnest(%(priority)s::smallint[], %(bucket)s::uuid[], %(count)s::int[], %(after_at)s::timestamptz[],
    %(after_id)s::uuid[]) AS a(priority, bucket_id, n, after_at, after_id)),
picked AS MATERIALIZED (
  SELECT c.place, a.bucket_id
  FROM asked a CROSS JOIN LATERAL (
    SELECT j.ctid AS place FROM "public"."jm_job" j
    WHERE j.lane = %(lane)s AND j.priority = a.priority AND j.bucket_id IS NULL
      AND j.run_at <= statement_timestamp() AND (j.run_at, j.id) > (a.after_at, a.after_id)
    ORDER BY j.run_at, j.id LIMIT a.n FOR UPDATE SKIP LOCKED) c),
held AS MATERIALIZED (
  SELECT b.id FROM "public"."jm_bucket" b
  WHERE EXISTS (SELECT 1 FROM picked) AND b.id = ANY(%(bucket)s::uuid[]) AND b.status = 'active'
    AND b.lease_until > statement_timestamp()
  FOR KEY SHARE OF b),
claimed AS (
  UPDATE "public"."jm_job" j SET bucket_id = p.bucket_id, claim_no = j.claim_no + 1
  FROM picked p
  WHERE j.ctid = p.place AND num_nonnulls(j.bucket_id) = 0 AND (SELECT count(*) FROM held) = %(buckets)s
  RETURNING j.id, j.bucket_id, j.claim_no, j.definition_id, j.lane, j.priority, j.run_at, j.enqueued_at, j.attempt, j.failures, j.losses, j.recheck <> 0, j.cancel_requested_at IS NOT NULL, j.data, j.metadata, j.timeout_ms, j.max_retries, j.retry, j.unknown_since, j.schedule_id, j.occurrence_at)
SELECT * FROM claimed ORDER BY priority DESC, run_at, id
