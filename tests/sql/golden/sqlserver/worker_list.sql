SELECT id, name, agent_connection, lane, mode, host, pid, started_at, seen_at, slots, unknown_definitions,
       CASE WHEN alive_until > DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME()) THEN 1 ELSE 0 END, backlog
FROM "dbo"."jm_worker" ORDER BY started_at, id
