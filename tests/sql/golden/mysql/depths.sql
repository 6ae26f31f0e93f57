SELECT h.name, j.lane, j.priority,
       CASE WHEN j.bucket_id IS NULL AND j.failures > 0 THEN 'retrying'
            WHEN j.bucket_id IS NULL THEN 'waiting'
            WHEN h.name IS NOT NULL THEN 'placed' WHEN j.started_at IS NULL THEN 'assigned_to_bucket'
            ELSE 'processing' END AS status,
       j.unsynced, count(*), min(j.run_at)
FROM `golden`.`jm_job` j LEFT JOIN `golden`.`jm_agent` h ON h.store_id = j.bucket_id
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3 DESC, 4
