INSERT INTO `golden`.`jm_worker`
  (id, name, agent_connection, lane, mode, host, pid, started_at, seen_at, alive_until, slots,
   unknown_definitions, backlog)
VALUES (%(id)s, %(name)s, %(agent_connection)s, %(lane)s, %(mode)s, %(host)s, %(pid)s, %(started_at)s, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)),
        TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + %(alive_for)s, %(slots)s, %(unknown_definitions)s, %(backlog)s)
