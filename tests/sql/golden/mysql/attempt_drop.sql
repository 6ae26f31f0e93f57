DELETE t FROM `golden`.`jm_attempt` t FORCE INDEX (PRIMARY) WHERE t.job_id IN (%(ids)s)
