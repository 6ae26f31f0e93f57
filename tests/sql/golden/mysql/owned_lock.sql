SELECT id, bucket_id, claim_no, cancel_requested_at, cancel_reason
FROM `golden`.`jm_job` FORCE INDEX (PRIMARY) WHERE id IN (%(ids)s) ORDER BY id FOR UPDATE
