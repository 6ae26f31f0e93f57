SELECT id, bucket_id, claim_no, cancel_requested_at FROM `golden`.`jm_job` FORCE INDEX (PRIMARY) WHERE id IN (%(ids)s)
