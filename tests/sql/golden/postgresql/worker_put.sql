INSERT INTO "public"."jm_worker"
  (id, name, agent_connection, lane, mode, host, pid, started_at, seen_at, alive_until, slots,
   unknown_definitions, backlog)
VALUES (%(id)s, %(name)s, %(agent_connection)s, %(lane)s, %(mode)s, %(host)s, %(pid)s, %(started_at)s, statement_timestamp(),
        statement_timestamp() + %(alive_for)s * interval '1 microsecond', %(slots)s, %(unknown_definitions)s, %(backlog)s)
