UPDATE "public"."jm_worker"
SET seen_at = statement_timestamp(), alive_until = statement_timestamp() + %(alive_for)s * interval '1 microsecond', unknown_definitions = %(unknown_definitions)s,
    backlog = %(backlog)s
WHERE id = %(id)s
