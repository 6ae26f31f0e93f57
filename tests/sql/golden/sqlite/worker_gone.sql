SELECT count(*) FROM "jm_worker" WHERE alive_until < :now - :age
