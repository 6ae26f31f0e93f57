UPDATE `golden`.`jm_bucket` FORCE INDEX (PRIMARY) SET status = %(status)s WHERE id IN (%(ids)s)
