SELECT count(*), COALESCE(sum(length(data) + COALESCE(length(result), 0)), 0) FROM "jm_history"
