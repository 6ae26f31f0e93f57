SELECT name, lane, priority, status, unsynced, count(*), min(run_at)
FROM (SELECT h.name, j.lane, j.priority, j.run_at, j.unsynced,
             CASE WHEN j.bucket_id IS NULL AND j.failures > 0 THEN 'retrying'
                  WHEN j.bucket_id IS NULL THEN 'waiting'
                  WHEN h.name IS NOT NULL THEN 'placed'
                  WHEN j.started_at IS NULL THEN 'assigned_to_bucket'
                  ELSE 'processing' END AS status
      FROM "dbo"."jm_job" j LEFT JOIN "dbo"."jm_agent" h ON h.store_id = j.bucket_id) AS d
GROUP BY name, lane, priority, status, unsynced ORDER BY name, lane, priority DESC, status
