SELECT lane, priority, status, count(*), min(run_at)
FROM (SELECT lane, priority, run_at,
         CASE WHEN bucket_id IS NULL AND failures = 0 THEN 'ready' WHEN bucket_id IS NULL THEN 'retrying'
              WHEN started_at IS NULL THEN 'assigned_to_bucket' ELSE 'processing' END AS status
      FROM "dbo"."jm_job") AS j
GROUP BY lane, priority, status ORDER BY lane, priority DESC, status
