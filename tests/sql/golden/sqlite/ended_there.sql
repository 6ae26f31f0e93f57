SELECT id, placement FROM "jm_history" WHERE id IN (:ids)
