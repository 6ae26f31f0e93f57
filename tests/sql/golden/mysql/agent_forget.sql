DELETE FROM `golden`.`jm_agent` WHERE name = %(name)s
