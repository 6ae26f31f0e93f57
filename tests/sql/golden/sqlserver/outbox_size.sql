SELECT count(*), COALESCE(sum(DATALENGTH(data) / 2 + COALESCE(DATALENGTH(result) / 2, 0)), 0) FROM "dbo"."jm_history"
