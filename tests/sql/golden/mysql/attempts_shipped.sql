DELETE FROM `golden`.`jm_attempt` WHERE claim_no = %(claim_no)s AND job_id IN (%(ids)s)
