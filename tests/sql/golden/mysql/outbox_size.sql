SELECT count(*), COALESCE(sum(LENGTH(data) + COALESCE(LENGTH(result), 0)), 0) FROM `golden`.`jm_history`
