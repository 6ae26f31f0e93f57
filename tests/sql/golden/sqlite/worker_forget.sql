DELETE FROM "jm_worker" WHERE id = :id
