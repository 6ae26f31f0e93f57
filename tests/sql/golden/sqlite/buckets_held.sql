SELECT count(*) FROM "jm_bucket" WHERE id IN (:ids) AND status = 'active' AND lease_until > :now
