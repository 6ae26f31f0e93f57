DELETE t FROM `golden`.`jm_history` t FORCE INDEX (PRIMARY) WHERE t.placement = %(placement)s AND t.id IN (%(ids)s)
