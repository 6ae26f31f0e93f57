SELECT id, name, agent_connection, lane, mode, host, pid, started_at, seen_at, slots, unknown_definitions,
       alive_until > :now, backlog
FROM "jm_worker" ORDER BY started_at, id
