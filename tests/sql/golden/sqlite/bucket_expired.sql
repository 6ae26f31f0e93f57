SELECT id FROM "jm_bucket" WHERE lease_until <= :now AND status IN ('active', 'completing')
ORDER BY id LIMIT :limit
