SELECT 1 WHERE EXISTS (
  SELECT 1 FROM "jm_bucket"
  WHERE lease_until <= :now OR status IN ('lost', 'draining', 'ready_to_delete'))
OR EXISTS (
  SELECT 1 FROM "jm_job" j
  WHERE j.bucket_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "jm_bucket" b WHERE b.id = j.bucket_id)
    AND NOT EXISTS (SELECT 1 FROM "jm_agent" h WHERE h.store_id = j.bucket_id))
