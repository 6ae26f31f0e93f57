SELECT j.id, j.bucket_id, j.claim_no, j.attempt, j.failures, j.losses, j.started_at, j.cancel_requested_at,
       j.cancel_reason, j.lane, j.unknown_since
FROM `golden`.`jm_job` j FORCE INDEX (jm_job_ready)
WHERE j.bucket_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM `golden`.`jm_bucket` b WHERE b.id = j.bucket_id)
  AND NOT EXISTS (SELECT 1 FROM `golden`.`jm_agent` h WHERE h.store_id = j.bucket_id)
LIMIT %(limit)s FOR UPDATE SKIP LOCKED
