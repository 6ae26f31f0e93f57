SELECT id, name, agent_connection, lane, mode, host, pid, started_at, seen_at, slots, unknown_definitions,
       alive_until > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), backlog
FROM `golden`.`jm_worker` ORDER BY started_at, id
