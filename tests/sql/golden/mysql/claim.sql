UPDATE `golden`.`jm_job` FORCE INDEX (PRIMARY)
SET bucket_id = CASE priority %(cases)s END, claim_no = claim_no + 1
WHERE id IN (%(ids)s) AND bucket_id IS NULL
