UPDATE `golden`.`jm_cluster` SET value = %(value)s, pinned = %(pinned)s, version = version + 1 WHERE name = %(name)s
