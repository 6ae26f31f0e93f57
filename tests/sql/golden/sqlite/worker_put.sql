INSERT INTO "jm_worker"
  (id, name, agent_connection, lane, mode, host, pid, started_at, seen_at, alive_until, slots,
   unknown_definitions, backlog)
VALUES (:id, :name, :agent_connection, :lane, :mode, :host, :pid, :started_at, :now,
        :now + :alive_for, :slots, :unknown_definitions, :backlog)
