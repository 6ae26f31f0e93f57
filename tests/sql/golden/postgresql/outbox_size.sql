SELECT count(*), COALESCE(sum(octet_length(data) + COALESCE(octet_length(result), 0)), 0) FROM "public"."jm_history"
