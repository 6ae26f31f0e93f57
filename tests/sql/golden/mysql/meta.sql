SELECT name, value FROM `golden`.`jm_meta`
