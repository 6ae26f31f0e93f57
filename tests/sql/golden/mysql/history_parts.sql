SELECT partition_name, 1 FROM information_schema.partitions
WHERE table_schema = COALESCE(%(schema)s, DATABASE()) AND table_name = 'jm_history'
  AND partition_name IS NOT NULL
UNION ALL
SELECT table_name, 0 FROM information_schema.tables
WHERE table_schema = COALESCE(%(schema)s, DATABASE())
  AND LEFT(table_name, LENGTH('jm_history') + 2) = 'jm_history_p'
ORDER BY 1
