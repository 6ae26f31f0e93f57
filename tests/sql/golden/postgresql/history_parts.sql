SELECT c.relname, EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid AND i.inhparent = h.oid)
FROM pg_class h
LEFT JOIN pg_class c ON c.relnamespace = h.relnamespace AND c.relkind = 'r'
  AND starts_with(c.relname, h.relname || '_p')
WHERE h.oid = to_regclass('"public"."jm_history"') AND h.relkind = 'p'
ORDER BY c.relname
