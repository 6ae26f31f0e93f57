DELETE t FROM `golden`.`jm_bucket` t FORCE INDEX (PRIMARY) WHERE t.id IN (%(ids)s)
