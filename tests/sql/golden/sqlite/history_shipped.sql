DELETE FROM "jm_history" WHERE placement = :placement AND id IN (:ids)
