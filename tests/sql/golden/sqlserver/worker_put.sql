INSERT INTO "dbo"."jm_worker"
  (id, name, agent_connection, lane, mode, host, pid, started_at, seen_at, alive_until, slots,
   unknown_definitions, backlog)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME()),
        DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2), SYSUTCDATETIME()) + ?, ?, ?, ?)
