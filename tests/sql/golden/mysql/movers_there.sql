SELECT id FROM `golden`.`jm_bucket` WHERE id IN (%(ids)s) AND mode = 'drain'
