SELECT statement_timestamp(), ARRAY(SELECT pg_notify(%(channel)s, lane)::text FROM unnest(%(lanes)s::text[]) AS lane)
