SELECT id, bucket_id, placement, claim_no FROM `golden`.`jm_job` FORCE INDEX (PRIMARY) WHERE id IN (%(ids)s) FOR UPDATE
