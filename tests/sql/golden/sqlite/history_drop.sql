DELETE FROM "jm_history" WHERE id IN (:ids)
