SELECT 1 FROM DUAL WHERE EXISTS (
  SELECT 1 FROM `golden`.`jm_bucket`
  WHERE lease_until <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) OR status IN ('lost', 'draining', 'ready_to_delete'))
OR EXISTS (
  SELECT 1 FROM `golden`.`jm_job` j
  WHERE j.bucket_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM `golden`.`jm_bucket` b WHERE b.id = j.bucket_id)
    AND NOT EXISTS (SELECT 1 FROM `golden`.`jm_agent` h WHERE h.store_id = j.bucket_id))
