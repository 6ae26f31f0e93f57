DELETE FROM "jm_job" WHERE id IN (SELECT substr(:ids, f.key * 16 + 1, 16) FROM json_each(:facts) f)
