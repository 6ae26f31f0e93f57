DELETE FROM "dbo"."jm_worker" WHERE id = ?
