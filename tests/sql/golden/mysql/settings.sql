SELECT name, value, pinned, version FROM `golden`.`jm_cluster` ORDER BY name
