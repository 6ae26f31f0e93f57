INSERT INTO `golden`.`jm_meta` (name, value) VALUES (%(name)s, %(value)s)
