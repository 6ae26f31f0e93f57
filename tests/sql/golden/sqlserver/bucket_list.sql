SELECT b.id, b.worker_id, b.worker_name, b.lane, b.priority, b.status, b.lease_until,
       (SELECT count(*) FROM "dbo"."jm_job" j WHERE j.bucket_id = b.id)
FROM "dbo"."jm_bucket" b ORDER BY b.worker_id, b.priority DESC, b.id
