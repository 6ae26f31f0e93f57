UPDATE `golden`.`jm_job` FORCE INDEX (PRIMARY) SET bucket_id = %(bucket_id)s, claim_no = claim_no + 1, recheck = 1 WHERE id IN (%(ids)s)
