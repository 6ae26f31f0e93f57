SELECT j.id FROM `golden`.`jm_job` j
WHERE j.bucket_id IS NOT NULL AND EXISTS (SELECT 1 FROM `golden`.`jm_history` h WHERE h.id = j.id)
LIMIT %(limit)s
