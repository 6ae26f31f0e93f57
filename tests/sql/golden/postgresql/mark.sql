WITH a AS (SELECT * FROM unnest(%(id)s::uuid[], %(bucket_id)s::uuid[], %(claim_no)s::int[], %(started_at)s::timestamptz[], %(progress_fraction)s::float8[], %(progress_message)s::text[]) AS a(id, bucket_id, claim_no, started_at, progress_fraction, progress_message))
UPDATE "public"."jm_job" j
SET started_at = COALESCE(j.started_at, a.started_at),
    progress_fraction = COALESCE(a.progress_fraction, j.progress_fraction),
    progress_message = COALESCE(a.progress_message, j.progress_message)
FROM a
WHERE j.id = a.id AND j.bucket_id IS NOT DISTINCT FROM a.bucket_id AND j.claim_no = a.claim_no
