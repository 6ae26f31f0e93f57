DELETE FROM "jm_bucket" WHERE id IN (:ids)
