UPDATE "jm_worker"
SET seen_at = :now, alive_until = :now + :alive_for, unknown_definitions = :unknown_definitions,
    backlog = :backlog
WHERE id = :id
