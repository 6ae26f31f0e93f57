SELECT j.id FROM "public"."jm_job" j
WHERE j.bucket_id IS NOT NULL AND EXISTS (SELECT 1 FROM "public"."jm_history" h WHERE h.id = j.id)
LIMIT %(limit)s
