SELECT id FROM "jm_history" WHERE finished_at <= :now - :age
ORDER BY finished_at LIMIT :limit
