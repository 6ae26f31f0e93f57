UPDATE `golden`.`jm_agent` SET draining = %(draining)s WHERE name = %(name)s
