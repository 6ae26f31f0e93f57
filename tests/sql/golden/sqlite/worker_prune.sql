DELETE FROM "jm_worker" WHERE alive_until < :now - :age
