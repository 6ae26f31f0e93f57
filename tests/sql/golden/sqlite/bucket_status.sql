UPDATE "jm_bucket" SET status = :status WHERE id IN (:ids)
