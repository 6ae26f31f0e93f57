SELECT lane, priority,
       CASE WHEN bucket_id IS NULL AND failures = 0 THEN 'ready' WHEN bucket_id IS NULL THEN 'retrying'
            WHEN started_at IS NULL THEN 'assigned_to_bucket' ELSE 'processing' END AS status,
       count(*), min(run_at)
FROM `golden`.`jm_job` GROUP BY 1, 2, 3 ORDER BY 1, 2 DESC, 3
