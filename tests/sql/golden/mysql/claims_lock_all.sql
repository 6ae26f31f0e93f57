SELECT id, bucket_id, claim_no, attempt, failures, losses, started_at, cancel_requested_at, cancel_reason,
       lane, unknown_since
FROM `golden`.`jm_job` FORCE INDEX (jm_job_ready) WHERE bucket_id IN (%(ids)s) FOR UPDATE
