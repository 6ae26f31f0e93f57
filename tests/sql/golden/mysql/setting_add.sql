INSERT INTO `golden`.`jm_cluster` (name, value, pinned) VALUES (%(name)s, %(value)s, %(pinned)s)
