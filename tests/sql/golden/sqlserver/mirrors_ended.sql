SELECT TOP (?) j.id FROM "dbo"."jm_job" j
WHERE j.bucket_id IS NOT NULL AND EXISTS (SELECT 1 FROM "dbo"."jm_history" h WHERE h.id = j.id)
