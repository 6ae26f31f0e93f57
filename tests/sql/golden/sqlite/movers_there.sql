SELECT id FROM "jm_bucket" WHERE id IN (:ids) AND mode = 'drain'
